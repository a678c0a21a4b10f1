/** Descriptions of services: which methods there are, under which wire names, with which messages. */

import type { Schema } from "./message.ts";

/** `unary`: one request, one answer; otherwise who sends several. */
export type Kind = "unary" | "server-stream" | "client-stream" | "bidi";

/** One method. `name` is the name on the wire. */
export interface Method<I, O, K extends Kind = Kind> {
  readonly name: string;
  readonly input: Schema<I>;
  readonly output: Schema<O>;
  readonly kind: K;
}

/** The methods of a service by their camel-case names. */
export type Methods = Record<string, Method<unknown, unknown>>;

/** One service. `typeName` is the name on the wire: the full proto name with package. */
export interface Service<M extends Methods = Methods> {
  readonly typeName: string;
  readonly methods: M;
}

/** Declares a service. */
export function service<M extends Methods>(typeName: string, methods: M): Service<M> {
  return { typeName, methods };
}

/** Declares a method with one request and one answer. */
export function unary<I, O>(name: string, input: Schema<I>, output: Schema<O>): Method<I, O, "unary"> {
  return { name, input, output, kind: "unary" };
}

/** Declares a method in which at least one side sends several messages. */
export function streaming<I, O, K extends Exclude<Kind, "unary">>(
  name: string,
  kind: K,
  input: Schema<I>,
  output: Schema<O>,
): Method<I, O, K> {
  return { name, input, output, kind };
}
