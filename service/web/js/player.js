// The playhead over the epochs: it follows a fit that runs, and replays one that has run.

const REPLAY_MS = 3500;

export class Player {
  /**
   * @param onShow called with the row to show
   * @param onChange called when it starts and stops
   */
  constructor(onShow, onChange) {
    this.onShow = onShow;
    this.onChange = onChange;
    this.reset(0);
  }

  /** Back to the start; `expected` is how many rows the whole run should have. */
  reset(expected) {
    this.playing = false;
    this.live = false;
    this.rows = 0;
    this.expected = expected;
    this.at = -1;
  }

  /** More rows have come. */
  grew(rows) {
    this.rows = rows;
    if (!this.playing && this.live) this.show(rows - 1);
  }

  /** From the first row on; a run that is slower than the replay is followed as it comes. */
  play({ live = false } = {}) {
    this.live = live;
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) {
      if (this.rows) this.show(this.rows - 1);
      return this.onChange();
    }
    this.playing = true;
    this.began = performance.now();
    this.onChange();
    requestAnimationFrame((now) => this.tick(now));
  }

  /** All rows are there: `live` ends, and the rest is replayed. */
  ended() {
    this.live = false;
    this.expected = this.rows;
    if (!this.playing && this.rows) this.show(this.rows - 1);
  }

  pause() {
    this.playing = false;
    this.live = false;
    this.onChange();
  }

  seek(row) {
    this.pause();
    this.show(row);
  }

  tick(now) {
    if (!this.playing) return;
    const part = Math.min(1, (now - this.began) / REPLAY_MS);
    // The first epochs change most, so time goes slowly there.
    const wanted = Math.floor(part ** 2.5 * Math.max(this.expected, this.rows));
    const row = Math.min(wanted, this.rows - 1);
    if (row >= 0 && row !== this.at) this.show(row);
    if (part === 1 && !this.live) {
      this.playing = false;
      return this.onChange();
    }
    requestAnimationFrame((next) => this.tick(next));
  }

  show(row) {
    this.at = row;
    this.onShow(row);
  }
}
