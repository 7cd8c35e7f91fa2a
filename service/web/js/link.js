// A link that holds the whole request, in the part of the address that browsers do not send.

const PREFIX = "#request=";
const LONGEST = 60_000;

/** @param state {csv, reading, request} */
export async function linkTo(state) {
  const packed = await through(new CompressionStream("deflate-raw"), new TextEncoder().encode(JSON.stringify(state)));
  const text = btoa(Array.from(packed, (byte) => String.fromCharCode(byte)).join(""));
  const link = new URL(PREFIX + text.replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, ""), document.baseURI).href;
  if (link.length > LONGEST) {
    throw new Error(`The link would have ${link.length.toLocaleString("en")} characters: send the file instead.`);
  }
  return link;
}

/** What the page's address holds, or null if it is no such link. Throws Error for a broken one. */
export async function stateOf(hash) {
  if (!hash.startsWith(PREFIX)) return null;
  try {
    const text = atob(hash.slice(PREFIX.length).replaceAll("-", "+").replaceAll("_", "/"));
    const bytes = await through(new DecompressionStream("deflate-raw"), Uint8Array.from(text, (c) => c.charCodeAt(0)));
    const { csv, reading, request } = JSON.parse(new TextDecoder().decode(bytes));
    if (typeof csv !== "string" || typeof request?.model === "undefined") throw new Error("incomplete");
    return { csv, reading, request };
  } catch {
    throw new Error("The link is broken: was all of it copied?");
  }
}

async function through(stream, bytes) {
  const writer = stream.writable.getWriter();
  const read = new Response(stream.readable).arrayBuffer();
  await Promise.all([writer.write(bytes).then(() => writer.close()), read]);
  return new Uint8Array(await read);
}
