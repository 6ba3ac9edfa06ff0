// Unpack weights of two bytes each: a float16, whose sign bit is set if the weight is not 0 and
// exactly equal to the weight before it, so that both belong to one fused run.

const JOINED = 0x8000;
const unpacked = new WeakMap();

function float16(bits) {
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  return exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction * 2 ** -24;
}

/** Return the 16-bit words of an attention map, [layer, head, row, column], unpacked once. */
function words(look) {
  if (!unpacked.has(look)) {
    const bytes = Uint8Array.from(atob(look.weights), (character) => character.charCodeAt(0));
    const view = new DataView(bytes.buffer);
    unpacked.set(look, Uint16Array.from({ length: bytes.length / 2 }, (_, i) => view.getUint16(2 * i, true)));
  }
  return unpacked.get(look);
}

/** Return the map of a head, or the mean of all if head is null; rows attend to columns. */
function attentionMap(look, head) {
  const all = words(look);
  const rows = look.target.length;
  const columns = look.source.length;
  const size = rows * columns;
  const values = new Float64Array(size);
  const joined = new Uint8Array(size);
  const heads = head === null ? [...Array(all.length / size).keys()] : [head];
  for (const h of heads) {
    for (let i = 0; i < size; i += 1) {
      const word = all[h * size + i];
      values[i] += float16(word & ~JOINED) / heads.length;
      if (heads.length === 1) joined[i] = word & JOINED ? 1 : 0;
    }
  }
  return { rows, columns, values, joined };
}

/** Return the first and last column of the fused run at a place; null if the weight is 0. */
function runAt(map, row, column) {
  const at = (c) => row * map.columns + c;
  if (!map.values[at(column)]) return null;
  let first = column;
  let last = column;
  while (first > 0 && map.joined[at(first)]) first -= 1;
  while (last + 1 < map.columns && map.joined[at(last + 1)]) last += 1;
  return { first, last };
}
