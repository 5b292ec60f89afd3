import { describe, expect, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import type { ChatPart } from "../../../src/router/protocol/ChatPart.ts"
import { makeOpenAiProvider } from "../../../src/router/providers/OpenAiProvider.ts"
import { beginInTime, completeInTime } from "../../../src/router/route/Attempt.ts"
import { refusalOfFailure, routeRefused } from "../../../src/router/route/RouteRefused.ts"
import type { Behaviour, ExpectedAnswer, ExpectedRefusal } from "../../support/router/behaviours/Behaviour.ts"
import { failures } from "../../support/router/behaviours/Failures.ts"
import { shapes } from "../../support/router/behaviours/Shapes.ts"
import { toolCalls } from "../../support/router/behaviours/ToolCalls.ts"
import { limits, times, transports } from "../../support/router/behaviours/Transports.ts"
import { callOf } from "../../support/router/Calls.ts"
import { secret, specOf } from "../../support/router/OpenAi.ts"
import { type Script, upstream } from "../../support/router/Upstream.ts"

interface Call {
  readonly id?: string
  readonly type?: string
  readonly function: { readonly name?: string; readonly arguments: string }
}

interface Choice {
  readonly index: number
  readonly finish_reason: string | null
  readonly message: {
    readonly role: string
    readonly content: string | null
    readonly tool_calls?: ReadonlyArray<Call>
  }
  readonly delta: {
    readonly role?: string
    readonly content?: string | null
    readonly tool_calls?: ReadonlyArray<Call & { readonly index: number }>
  }
}

/** As the router sends it, read again. */
const bodyOf = ({ choicesText, moreText }: ChatPart): { readonly choices: ReadonlyArray<Choice> } =>
  JSON.parse(`{"choices":${choicesText}${moreText}}`)

/** Puts the first choice of a stream together as a client does that relies on OpenAI's form, and repairs nothing. */
const assemble = (bodies: ReadonlyArray<ReturnType<typeof bodyOf>>) => {
  let content: string | null = null
  let finish_reason: string | null = null
  let role: string | undefined
  const calls: Array<{ id: string; name: string; arguments: string }> = []
  for (const { choices } of bodies) {
    for (const choice of choices) {
      expect(choice.index).toBe(0)
      expect(choice.finish_reason === null || typeof choice.finish_reason === "string").toBe(true)
      role ??= choice.delta.role
      expect(role).toBe("assistant")
      if (typeof choice.delta.content === "string") content = (content ?? "") + choice.delta.content
      for (const call of choice.delta.tool_calls ?? []) {
        const known = calls[call.index]
        if (known === undefined) {
          expect(call).toMatchObject({ index: calls.length, type: "function" })
          calls.push({ id: call.id ?? "", name: call.function.name ?? "", arguments: call.function.arguments })
        } else {
          expect(call).not.toHaveProperty("id")
          expect(call.function).not.toHaveProperty("name")
          known.arguments += call.function.arguments
        }
      }
      finish_reason = choice.finish_reason ?? finish_reason
    }
  }
  return { content, finish_reason, calls }
}

const wholeOf = ({ choices: [choice] }: ReturnType<typeof bodyOf>) => {
  expect(choice).toMatchObject({ index: 0, message: { role: "assistant" } })
  const calls = (choice?.message.tool_calls ?? []).map((call) => {
    expect(call.type).toBe("function")
    return { id: call.id ?? "", name: call.function.name ?? "", arguments: call.function.arguments }
  })
  return { content: choice?.message.content, finish_reason: choice?.finish_reason, calls }
}

const partsFrom = (behaviour: Behaviour, script: Script, stream: boolean) =>
  Effect.gen(function* () {
    const server = yield* upstream(script)
    const spec = specOf(server.baseUrl, behaviour.spec)
    const provider = yield* makeOpenAiProvider(spec, Option.some(Redacted.make(secret)))
    const call = callOf("hi", behaviour.fields)
    if (!stream) return [yield* completeInTime("p", spec.timeouts, provider.complete(call))]
    const { first, rest } = yield* beginInTime("p", spec.timeouts, provider.stream(call))
    return [...first, ...Chunk.toReadonlyArray(yield* Stream.runCollect(rest))]
  })

const expectAnswer = (expected: ExpectedAnswer, parts: ReadonlyArray<ChatPart>, stream: boolean) => {
  const bodies = parts.map(bodyOf)
  const [whole = { choices: [] }] = bodies
  const { calls, content, finish_reason } = stream ? assemble(bodies) : wholeOf(whole)
  if (expected.content !== undefined) expect(content).toBe(expected.content)
  if (expected.finish_reason !== undefined) expect(finish_reason).toBe(expected.finish_reason)
  expect(calls.map(({ arguments: given, name }) => [name, JSON.parse(given)])).toEqual(expected.calls ?? [])
  const ids = calls.map(({ id }) => id)
  expect(new Set(ids).size).toBe(calls.length)
  expect(ids).not.toContain("")
  if ("usage" in expected) {
    const usage = parts.findLast((part) => part.usage !== undefined)?.usage
    expect(usage && [usage.promptTokens, usage.completionTokens]).toEqual(expected.usage)
  }
  const withChoices = bodies.filter(({ choices }) => choices.length > 0)
  if (expected.more !== undefined) expect(withChoices[0]).toMatchObject(expected.more)
  const text = parts.map(({ choicesText, moreText }) => choicesText + moreText).join("")
  if (expected.contains !== undefined) expect(text).toContain(expected.contains)
  if (expected.lacks !== undefined) expect(text).not.toContain(expected.lacks)
}

const isRefusal = (expected: Behaviour["expected"]): expected is ExpectedRefusal => "kind" in expected

describe("what an OpenAI-compatible provider sends", () => {
  for (const behaviour of [...toolCalls, ...shapes, ...transports, ...limits, ...times, ...failures]) {
    for (const [form, script, stream] of [
      ["whole", behaviour.whole, false],
      ["streamed", behaviour.stream, true]
    ] as const) {
      if (script === undefined) continue
      const { expected, title } = behaviour
      it.scopedLive(`${title} (${form}): ${isRefusal(expected) ? expected.code : "an answer in OpenAI's form"}`, () =>
        Effect.gen(function* () {
          const parts = yield* Effect.either(partsFrom(behaviour, script, stream))
          if (!isRefusal(expected)) return expectAnswer(expected, yield* parts, stream)
          const failure = yield* Effect.flip(parts)
          expect(failure.kind).toBe(expected.kind)
          const refusal = routeRefused(refusalOfFailure(failure))
          expect(refusal.code).toBe(expected.code)
          expect(refusal.headers?.["x-should-retry"]).toBe(expected.shouldRetry)
          expect(JSON.stringify(failure) + refusal.message).not.toContain(secret)
        }).pipe(Effect.timeout("20 seconds"))
      )
    }
  }
})
