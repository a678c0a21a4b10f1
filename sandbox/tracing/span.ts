/**
 * What traces consist of.
 *
 * @module
 */

/** Something that was done, and when. */
export interface Span {
  readonly name: string;
  readonly id: bigint;
  /** what it was a part of; 0 = nothing else */
  readonly parent: bigint;
  /** since 1970, in microseconds */
  readonly startUs: number;
  readonly durationUs: number;
  /** why it failed; undefined = it did not */
  readonly error?: string | undefined;
}

/** Spans of one trace, and who did what they are about. */
export interface Batch {
  readonly service: string;
  /** what is said of the whole service */
  readonly tags: Readonly<Record<string, string>>;
  /** of the trace */
  readonly traceId: { readonly high: bigint; readonly low: bigint };
  readonly spans: readonly Span[];
}
