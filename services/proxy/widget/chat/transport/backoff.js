const FIRST = 500; // ms
const MOST = 30_000;

/** Exponential with full jitter, so that a thousand clients do not come back in one instant. */
export class Backoff {
  attempts = 0;

  /** How long to wait before the next attempt, in ms. */
  next() {
    const most = Math.min(MOST, FIRST * 2 ** this.attempts);
    this.attempts += 1;
    return Math.random() * most;
  }

  /** A connection held: the next one that breaks begins anew. */
  rest() {
    this.attempts = 0;
  }
}
