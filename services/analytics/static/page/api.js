// The dashboard's API: requests.

/** The service refused, or could not be reached (status 0). */
export class NumbersProblem extends Error {
  /** @param {number} status @param {{detail?: string, console?: string | null, position?: number | null}} body */
  constructor(status, body) {
    super(body.detail ?? `the service answers ${status}`);
    this.status = status;
    this.console = body.console ?? "";
    this.position = body.position ?? null;
  }
}

const PATIENCE = 20_000;

/**
 * @template T
 * @param {string} path @param {Record<string, string>} [query]
 * @returns {Promise<T>}
 */
export async function ask(path, query = {}) {
  const words = new URLSearchParams(Object.entries(query).filter(([name, value]) => value !== "" || name === "named")).toString();
  let answer;
  try {
    answer = await fetch(`/api/${path}${words && `?${words}`}`, { signal: AbortSignal.timeout(PATIENCE) });
  } catch {
    throw new NumbersProblem(0, { detail: "the service cannot be reached" });
  }
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new NumbersProblem(answer.status, body);
  return body;
}
