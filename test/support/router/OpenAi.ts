import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type { ProviderSpec } from "../../../src/router/models/Catalog.ts"
import { standardProvider } from "../../../src/router/models/Catalog.ts"
import { makeOpenAiProvider } from "../../../src/router/providers/OpenAiProvider.ts"
import type { Upstream } from "./Upstream.ts"

/** The key, which nothing may show. */
export const secret = "sk-very-secret"
export const specOf = (baseUrl: string, fields: Partial<ProviderSpec> = {}): ProviderSpec => ({
  ...standardProvider,
  name: "p",
  kind: "openai-compatible",
  baseUrl,
  apiKeyVariable: "KEY",
  ...fields
})
export const providerOf = ({ baseUrl }: Pick<Upstream, "baseUrl">) =>
  makeOpenAiProvider(specOf(baseUrl), Option.some(Redacted.make(secret)))

/** A piece of a stream about one of its choices. */
export const choice = (index: number, content: string, finish_reason: string | null) =>
  JSON.stringify({ choices: [{ index, delta: { content }, finish_reason }] })
