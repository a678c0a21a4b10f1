/** The global scope of a worker, for which the project's libraries have no types. */
export const scope = globalThis as unknown as {
  onmessage(event: MessageEvent): void;
  postMessage(message: unknown): void;
};
