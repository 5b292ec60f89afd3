import * as Zlib from "node:zlib"
import * as HttpClient from "@effect/platform/HttpClient"
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as NodeStream from "@effect/platform-node/NodeStream"
import { Agent, type Dispatcher, ProxyAgent } from "@effect/platform-node/Undici"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import type { ProviderSpec } from "../models/Catalog.ts"

const dispatcherOf = ({ timeouts }: ProviderSpec, proxy: Redacted.Redacted | undefined): Dispatcher => {
  const connect = { timeout: Duration.toMillis(timeouts.connect) }
  // A proxy sees only the names of https providers: it tunnels their connections (RFC 9110, section 9.3.6).
  return proxy === undefined
    ? new Agent({ connect })
    : new ProxyAgent({ uri: Redacted.value(proxy), proxyTls: connect, requestTls: connect, proxyTunnel: false })
}

/** Connects within the provider's `connect` timeout. It follows no redirects, so that no key is sent to another host. */
export const makeProviderClient = (spec: ProviderSpec, proxy: Redacted.Redacted | undefined) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => dispatcherOf(spec, proxy)),
      (dispatcher) => Effect.promise(() => dispatcher.destroy())
    ),
    (dispatcher) =>
      NodeHttpClient.makeUndici(dispatcher).pipe(
        // Trace ids are not for providers, and the client's own span would repeat every header.
        HttpClient.withTracerPropagation(false),
        HttpClient.withTracerDisabledWhen(() => true),
        // The call ends with its scope, at the provider too.
        HttpClient.withScope
      )
  )

/** What was received is passed on at once, also where the end of the coded data is missing. */
const flushed = { flush: Zlib.constants.Z_SYNC_FLUSH, finishFlush: Zlib.constants.Z_SYNC_FLUSH }
const flushedBrotli = {
  flush: Zlib.constants.BROTLI_OPERATION_FLUSH,
  finishFlush: Zlib.constants.BROTLI_OPERATION_FLUSH
}

const decoders: Readonly<Record<string, () => Zlib.Gunzip | Zlib.BrotliDecompress>> = {
  gzip: () => Zlib.createUnzip(flushed),
  "x-gzip": () => Zlib.createUnzip(flushed),
  deflate: () => Zlib.createUnzip(flushed),
  br: () => Zlib.createBrotliDecompress(flushedBrotli)
}

/** The bytes of an answer without its content coding. Servers may send one that was not asked for (RFC 9110, section 12.5.3). */
export const decodedBytes = <E>(
  response: HttpClientResponse.HttpClientResponse,
  onError: (error: unknown) => E
): Stream.Stream<Uint8Array, E> => {
  const bytes = Stream.mapError(response.stream, onError)
  const coding = response.headers["content-encoding"]?.trim().toLowerCase() ?? ""
  const decoder = decoders[coding]
  return decoder === undefined ? bytes : NodeStream.pipeThroughDuplex(bytes, decoder, onError)
}
