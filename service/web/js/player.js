// The player of epochs: follows a running fit, and replays a finished one.

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

  /** Returns to the start; `expected`: the number of rows of the whole run. */
  reset(expected) {
    this.playing = false;
    this.live = false;
    this.rows = 0;
    this.expected = expected;
    this.at = -1;
  }

  /** Sets the number of rows received. */
  grew(rows) {
    this.rows = rows;
    if (!this.playing && this.live) this.show(rows - 1);
  }

  /** Plays from the first row; a run slower than the replay is followed live. */
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

  /** All rows have been received: `live` ends, and the rest is replayed. */
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
    // The first epochs change most, so they are played more slowly.
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
