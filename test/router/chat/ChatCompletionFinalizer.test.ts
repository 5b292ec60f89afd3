import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { AuditLog } from "../../../src/audit/AuditLog.ts"
import type { AuditId } from "../../../src/audit/encoding/AuditId.ts"
import { GuardianClient } from "../../../src/clients/GuardianClient.ts"
import { AnswerWatch } from "../../../src/router/chat/AnswerWatch.ts"
import { finalize, InFlight } from "../../../src/router/chat/ChatCompletionFinalizer.ts"
import { HistoryWriter } from "../../../src/router/history/HistoryWriter.ts"
import { makeChatRequestContext } from "../../../src/router/route/ChatRequestContext.ts"

const context = () => ({
  ...makeChatRequestContext({
    requestId: "r",
    authorization: undefined,
    startedAtMillis: 0,
    storeContent: false,
    policyVersion: undefined
  }),
  ghostId: "Scout",
  sessionId: "s"
})

const defect = Effect.dieMessage("a defect")

describe("The finalizer of a chat completion", () => {
  it.effect.each([
    { part: "the trail", record: defect, write: Effect.void },
    { part: "the history", record: Effect.succeed("1" as AuditId), write: defect }
  ])("ends the session and the request when $part dies", ({ record, write }) =>
    Effect.gen(function* () {
      const done: Array<string> = []
      const note = (what: string) => Effect.sync(() => void done.push(what))
      yield* finalize(context()).pipe(
        Effect.provide([
          Layer.mock(AuditLog, { record: () => record }),
          Layer.succeed(HistoryWriter, { write: () => write }),
          Layer.mock(GuardianClient, { endSession: ({ agent, sessionId }) => note(`ended ${agent}/${sessionId}`) }),
          Layer.mock(AnswerWatch, {}),
          Layer.succeed(InFlight, { begin: Effect.void, end: note("request") })
        ])
      )
      expect(done).toEqual(["ended Scout/s", "request"])
    })
  )
})
