// How many images are kept and which window of ranks that is: a copy of coreset_engine/selection/budget.py for
// sliders that answer while they move. tests/selection/test_budget_javascript.py compares both. No imports, no drawing.

/** A number as the decimal it is written as: value = digits / scale. Same reading as budget._decimal. */
function decimal(x) {
  const [mantissa, exponent = "0"] = String(x).split("e");
  const [whole, part = ""] = mantissa.split(".");
  const places = part.length - Number(exponent);
  const digits = BigInt(whole + part);
  return places < 0 ? [digits * 10n ** BigInt(-places), 1n] : [digits, 10n ** BigInt(places)];
}

/** n digits / scale, rounded half up. */
function halfUp(n, digits, scale) {
  return Number((2n * digits * BigInt(n) + scale) / (2n * scale));
}

/** Number kept at pruning rate p: (1 - p) n rounded half up, at least 1. Same as budget.kept_count. */
export function keptCount(n, p) {
  const [digits, scale] = decimal(p);
  return Math.max(1, halfUp(n, scale - digits, scale));
}

/** Number dropped first as hardest: beta n rounded half up. Same as budget.cut_count. */
export function cutCount(n, beta) {
  return halfUp(n, ...decimal(beta));
}

/** Largest beta, in thousandths, that leaves `kept` of n images. Same as budget.largest_beta. */
export function largestBeta(n, kept) {
  return Math.min(1000, Math.floor((1000 * (2 * (n - kept) + 1) - 1) / (2 * n))) / 1000;
}

/** Beta where none was chosen: linear in `table` ([rates, betas]), in thousandths. Same as budget.guessed_beta. */
export function guessedBeta([rates, betas], removed) {
  if (removed >= rates[rates.length - 1]) return betas[betas.length - 1];
  const b = Math.max(1, rates.findIndex((rate) => removed <= rate));
  const rise = ((betas[b] - betas[b - 1]) * (removed - rates[b - 1])) / (rates[b] - rates[b - 1]);
  return Math.floor(1000 * (betas[b - 1] + rise) + 0.5) / 1000;
}

/** The beta in effect: the wanted one (null: the guess from `table`), lowered to what leaves `kept` of n images. */
export function settledBeta(n, kept, beta, table) {
  return Math.min(beta ?? guessedBeta(table, 1 - kept / n), largestBeta(n, kept));
}

/** [lo, hi) among the ranks of the free images. pinRanks: ascending ranks of all pinned. Same as budget.pinned_window. */
export function pinnedWindow(n, kept, cut, mustKeep, pinRanks) {
  const free = n - pinRanks.length;
  const size = Math.min(Math.max(kept - mustKeep, 0), free);
  const low = Math.min(cut - pinRanks.filter((rank) => rank < cut).length, free - size);
  return [low, low + size];
}
