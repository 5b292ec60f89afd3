import { randomUUID } from "node:crypto"
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as HttpRouter from "@effect/platform/HttpRouter"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Function from "effect/Function"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { AuditUnavailable } from "../../audit/AuditUnavailable.ts"
import * as contract from "../../contracts/gatekeeper/GatekeeperApi.ts"
import { FeedMessage } from "../../contracts/gatekeeper/StopSchemas.ts"
import { refusalResponse } from "../../platform/http/ErrorResponse.ts"
import { endWithServer, requestId } from "../../platform/http/RequestContext.ts"
import { partsOf, requestDecoder } from "../../platform/http/RequestDecoding.ts"
import { AccessControl, type AccessQuestion } from "../AccessControl.ts"
import { makeLeases } from "../Leases.ts"
import { elseAuditUnavailable, refusalOf } from "../Refusals.ts"
import { feedResource } from "../ServiceRights.ts"
import type { VerifiedToken } from "../tokens/VerifiedTokens.ts"
import { StopRegister } from "./StopRegister.ts"

/** A stream sends a message at least so often, so that its reader notices when it is cut. */
const longestSilence = "1 second"

const encode = Schema.encodeSync(FeedMessage)

const headers = { "cache-control": "no-store", "x-accel-buffering": "no" }

/** The messages of a gatekeeper. `next` names a place in its log, which begins again when it starts. */
export const makeMessages = ({ book }: Pick<typeof StopRegister.Service, "book">) => {
  const epoch = randomUUID()
  return (after: string | undefined): FeedMessage => {
    const [, given, place] = /^([0-9a-f-]{36})\.(\d{1,15})$/.exec(after ?? "") ?? []
    const log = book.log()
    return {
      next: `${epoch}.${log.length}`,
      policy_version: book.policyVersion() ?? null,
      revocations: log.slice(given === epoch ? Number(place) : 0)
    }
  }
}

/**
 * `GET /stops`: one message, or a stream of them. A raw route: a stream has no end of its own. It ends when its caller's token expires
 * or is stopped, or when the policy no longer allows the caller to read it.
 */
const makeFeed = Effect.map(
  Effect.all([StopRegister, AccessControl, makeLeases]),
  ([register, access, { isStopped, lease, mayGoOn }]) => {
    const messageAfter = makeMessages(register)
    const decode = requestDecoder(contract.feed)

    /** A caller that is stopped hears of that in a last message: it hears of no other stop from then on, and has to know. */
    const events = (
      after: string | undefined,
      isAllowed: Effect.Effect<boolean, AuditUnavailable>,
      token: VerifiedToken
    ) => {
      let last = after
      const next = Effect.map(isAllowed, (goesOn) => {
        if (!goesOn && !isStopped(token)) return Option.none()
        const message = messageAfter(last)
        last = message.next
        return Option.some({ text: `data: ${JSON.stringify(encode(message))}\n\n`, goesOn })
      })
      return Stream.merge(register.book.changes, Stream.fromSchedule(Schedule.spaced(longestSilence))).pipe(
        Stream.mapEffect(() => next),
        Stream.filterMapWhile(Function.identity),
        Stream.takeUntil(({ goesOn }) => !goesOn),
        Stream.map(({ text }) => text),
        Stream.encodeText
      )
    }

    return Effect.fnUntraced(function* (request: HttpServerRequest.HttpServerRequest) {
      const id = requestId(request)
      const claimed = { action: "read", resource: feedResource, metadata: {} }
      const question: AccessQuestion = {
        authorization: request.headers["authorization"],
        requestId: id,
        access: Either.right(claimed)
      }
      const decoded = yield* Effect.either(Effect.flatMap(partsOf(request), decode))
      if (Either.isLeft(decoded)) {
        const { code, message } = decoded.left
        const refused = yield* access.ask({ ...question, access: Either.left({ message, claimed }) })
        return refused._tag === "Allowed"
          ? yield* Effect.dieMessage("a question with a problem was allowed")
          : refusalResponse(refusalOf(refused, code), id)
      }
      const { after } = decoded.right.urlParams
      const outcome = yield* lease(question)
      if (outcome._tag === "Allowed") return yield* Effect.dieMessage("a caller of the feed has no token")
      if (outcome._tag !== "Leased") return refusalResponse(refusalOf(outcome), id)
      if (!(request.headers["accept"] ?? "").includes("text/event-stream")) {
        return HttpServerResponse.unsafeJson(encode(messageAfter(after)), { headers })
      }
      endWithServer(NodeHttpServerRequest.toIncomingMessage(request))
      return HttpServerResponse.stream(events(after, mayGoOn(question, outcome.token), outcome.token), {
        contentType: "text/event-stream; charset=utf-8",
        headers
      })
    }, elseAuditUnavailable)
  }
)

/** Registers the route: the platform's own handler answers a malformed query before anything could record it. */
export const stopFeed = Effect.gen(function* () {
  const feed = yield* makeFeed
  const router = yield* HttpApiBuilder.Router
  const answer = Effect.flatMap(HttpServerRequest.HttpServerRequest, feed)
  yield* router.addRoute(HttpRouter.makeRoute(contract.feed.method, contract.feed.path, answer))
})
