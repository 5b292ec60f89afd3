import { expect, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { AuditLog } from "../../../src/audit/AuditLog.ts"
import { AuditUnavailable } from "../../../src/audit/AuditUnavailable.ts"
import { streamedAnswer } from "../../../src/router/chat/AnswerBody.ts"
import { makePart } from "../../../src/router/protocol/ChatPart.ts"
import { ProviderFailure } from "../../../src/router/providers/Provider.ts"
import { makeChatRequestContext } from "../../../src/router/route/ChatRequestContext.ts"

const failure = new ProviderFailure({ provider: "p", kind: "broken", reason: "hung up" })

it.effect.each([
  { how: "is complete", rest: Stream.empty, reported: "answered" },
  { how: "fails", rest: Stream.fail(failure), reported: "broken" }
])("an answer that $how is reported to the breaker also where the trail refuses its record", ({ rest, reported }) =>
  Effect.gen(function* () {
    const reports: Array<string> = []
    const context = makeChatRequestContext({
      requestId: "r",
      authorization: undefined,
      startedAtMillis: 0,
      storeContent: false,
      policyVersion: undefined
    })
    const frame = { requestId: "r", model: "m", createdSeconds: 0, includeUsage: false }
    const bytes = yield* streamedAnswer(context, frame, {
      _tag: "Streamed",
      first: Chunk.of(makePart("delta", [{ index: 0, delta: { content: "a" }, finish_reason: "stop" }])),
      rest,
      ended: (failed) => Effect.sync(() => void reports.push(failed?.kind ?? "answered"))
    })
    const text = yield* Stream.mkString(Stream.decodeText(bytes))
    expect(text).toContain("audit_unavailable")
    expect(reports).toEqual([reported])
  }).pipe(
    Effect.provide(Layer.mock(AuditLog, { record: () => new AuditUnavailable({ reason: "full", detail: "a test" }) }))
  )
)
