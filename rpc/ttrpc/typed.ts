/** Clients and handlers with messages instead of bytes, by the generated description of a service. */

import { Code, RpcError } from "../errors.ts";
import { fromBinary, type Init, type Schema, toBinary } from "../message.ts";
import type { Kind, Method, Methods, Service } from "../service.ts";
import type { CallOptions, TtrpcClient } from "./client.ts";
import type { ClientStream } from "./client_call.ts";
import type { CallContext, MethodDefinition, ServiceDefinition } from "./server.ts";

/** The caller's end of a stream of messages. Iterate over it for the server's. */
export interface TypedStream<I, O> extends AsyncIterable<O> {
  /** See {@link ClientStream.send}. */
  send(message: Init<I>): Promise<void>;
  /** Tells the server that no more messages come. */
  closeSend(): Promise<void>;
  /** The one answer of a `client-stream`. */
  response(): Promise<O>;
  /** Gives the call up. */
  cancel(): void;
}

type ClientMethod<M> = M extends Method<infer I, infer O, infer K>
  ? K extends "unary" ? (request: Init<I>, options?: CallOptions) => Promise<O>
  : K extends "server-stream" ? (request: Init<I>, options?: CallOptions) => AsyncIterable<O>
  : (options?: CallOptions) => TypedStream<I, O>
  : never;

/** A client with one function per method, by its camel-case name. Errors are those of {@link TtrpcClient.call}. */
export type ServiceClient<M extends Methods> = { readonly [K in keyof M]: ClientMethod<M[K]> };

type Handler<M> = M extends Method<infer I, infer O, infer K>
  ? K extends "unary" ? (request: I, context: CallContext) => Promise<Init<O>> | Init<O>
  : K extends "server-stream" ? (request: I, context: CallContext) => AsyncIterable<Init<O>>
  : K extends "client-stream" ? (messages: AsyncIterable<I>, context: CallContext) => Promise<Init<O>>
  : (messages: AsyncIterable<I>, context: CallContext) => AsyncIterable<Init<O>>
  : never;

/** Implementations by camel-case method name; what is missing is answered with UNIMPLEMENTED. */
export type Handlers<M extends Methods> = { readonly [K in keyof M]?: Handler<M[K]> };

/** A connection that carries calls. */
export type Connection = Pick<TtrpcClient, "call" | "stream">;

/** Typed calls over a connection. @param name replaces the service's wire name */
export function serviceClient<M extends Methods>(
  service: Service<M>,
  client: Connection,
  { name = service.typeName }: { name?: string } = {},
): ServiceClient<M> {
  const entries = Object.entries(service.methods).map(([local, method]) => [
    local,
    clientMethod(client, name, method),
  ]);
  return Object.fromEntries(entries) as ServiceClient<M>;
}

/**
 * Offers handlers as a service.
 *
 * @param name replaces the service's wire name, so that one implementation can serve two versions of it
 */
export function implement<M extends Methods>(
  service: Service<M>,
  handlers: Handlers<M>,
  { name = service.typeName }: { name?: string } = {},
): ServiceDefinition {
  const methods = new Map<string, MethodDefinition>();
  for (const [local, method] of Object.entries(service.methods)) {
    const handler = handlers[local];
    // a handler's type follows from the method's, which is lost in a loop over all of them
    if (handler !== undefined) {
      methods.set(method.name, definition(method, handler.bind(handlers) as AnyHandler));
    }
  }
  return { name, methods };
}

type AnyHandler = (input: unknown, context: CallContext) => unknown;

function definition(
  { kind, input, output }: Method<unknown, unknown>,
  handler: AnyHandler,
): MethodDefinition {
  const one = async (result: unknown) => encode(output, await result);
  const many = (result: unknown) => each(result as AsyncIterable<unknown>, (item) => encode(output, item));
  const request = (bytes: Uint8Array) => decode(input, bytes);
  const requests = (list: AsyncIterable<Uint8Array>) => each(list, request);
  const run = {
    "unary": (bytes: Uint8Array, context: CallContext) => one(handler(request(bytes), context)),
    "server-stream": (bytes: Uint8Array, context: CallContext) => many(handler(request(bytes), context)),
    "client-stream": (list: AsyncIterable<Uint8Array>, context: CallContext) =>
      one(handler(requests(list), context)),
    "bidi": (list: AsyncIterable<Uint8Array>, context: CallContext) => many(handler(requests(list), context)),
  } satisfies { [K in Kind]: Extract<MethodDefinition, { kind: K }>["run"] };
  return { kind, run: run[kind] } as MethodDefinition;
}

function clientMethod(
  client: Connection,
  service: string,
  { name, kind, input, output }: Method<unknown, unknown>,
) {
  const answer = (bytes: Uint8Array) => decode(output, bytes);
  if (kind === "unary") {
    return async (request: unknown, options?: CallOptions) =>
      answer(await client.call(service, name, encode(input, request), options));
  }
  if (kind === "server-stream") {
    return (request: unknown, options?: CallOptions) =>
      each(client.stream({ service, method: name, kind }, encode(input, request), options), answer);
  }
  return (options?: CallOptions): TypedStream<unknown, unknown> => {
    const stream: ClientStream = client.stream({ service, method: name, kind }, undefined, options);
    return {
      send: (message) => stream.send(encode(input, message)),
      closeSend: () => stream.closeSend(),
      response: async () => answer(await stream.response),
      cancel: () => stream.cancel(),
      [Symbol.asyncIterator]: () => each(stream, answer),
    };
  };
}

/** Anything but a message (a handler that gave nothing, say) is an error of this side. */
function encode(schema: Schema<unknown>, value: unknown): Uint8Array {
  if (typeof value !== "object" || value === null) {
    throw new RpcError(Code.Unknown, `no ${schema.typeName} to send: it is ${value}`);
  }
  return toBinary(schema, value);
}

function decode(schema: Schema<unknown>, bytes: Uint8Array): unknown {
  try {
    return fromBinary(schema, bytes);
  } catch (cause) {
    throw new RpcError(Code.Internal, `cannot decode ${schema.typeName}: ${RpcError.from(cause).message}`, {
      cause,
    });
  }
}

async function* each<A, B>(list: AsyncIterable<A>, convert: (item: A) => B): AsyncGenerator<B, undefined> {
  for await (const item of list) yield convert(item);
  return undefined;
}
