import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { feed } from "../contracts/gatekeeper/GatekeeperApi.ts"
import { FeedMessage } from "../contracts/gatekeeper/StopSchemas.ts"
import { tokenStop } from "../domain/Stops.ts"
import { ClientSettings } from "./ClientSettings.ts"
import { type FeedProblem, openStopBook, Stops } from "./Stops.ts"
import { bearerClaims, type TokenClaims } from "./TokenClaims.ts"

/** Where the gatekeeper is, and how this process proves which service it is. */
export interface FollowerOptions {
  /** Names the copy in the home. */
  readonly owner: string
  readonly location: Effect.Effect<string>
  readonly token: {
    readonly authorization: Effect.Effect<Redacted.Redacted, { readonly message: string }>
    readonly renew: Effect.Effect<void>
  }
}

/** A gatekeeper sends a message each second: a stream that is silent for so long is cut, or held back by a proxy. */
const streamSilence = Duration.seconds(3)

const pollInterval = Duration.seconds(1)

/** Polls before a stream is tried again. */
const pollsBetween = 10

const decodeMessage = Schema.decode(Schema.parseJson(FeedMessage))

const dataField = "data: "

/** The two ways to ask for messages. `accept` reads one. */
const feedClient = <E>(
  { location, token }: Pick<FollowerOptions, "location" | "token">,
  client: HttpClient.HttpClient,
  after: () => string | undefined,
  accept: (text: string, authorization: string) => Effect.Effect<void, E>
) => {
  const ask = (accepted: string) =>
    Effect.gen(function* () {
      const authorization = Redacted.value(yield* token.authorization)
      const request = HttpClientRequest.get(`${yield* location}${feed.path}`).pipe(
        HttpClientRequest.setHeaders({ accept: accepted, authorization }),
        HttpClientRequest.setUrlParams(after() === undefined ? {} : { after: after() })
      )
      const response = yield* client.execute(request)
      if (response.status === 200) return { response, authorization }
      if (response.status === 401) yield* token.renew
      return yield* Effect.fail({ message: `it answered with status ${response.status}` })
    })

  const stream = ask("text/event-stream").pipe(
    Effect.timeout(streamSilence),
    Effect.map(({ authorization, response }) =>
      response.stream.pipe(
        Stream.timeoutFail(() => ({ message: "its stream is silent" }), streamSilence),
        Stream.decodeText(),
        Stream.splitLines,
        Stream.filter((line) => line.startsWith(dataField)),
        Stream.mapEffect((line) => accept(line.slice(dataField.length), authorization))
      )
    ),
    Stream.unwrapScoped,
    Stream.runDrain
  )

  const poll = ask("application/json").pipe(
    Effect.flatMap(({ authorization, response }) =>
      Effect.flatMap(response.text, (text) => accept(text, authorization))
    ),
    Effect.scoped,
    Effect.timeout(streamSilence)
  )

  return { stream, poll }
}

/** Follows the feed of a gatekeeper: by a stream, and by a poll each second while there is none. */
export const layer = ({ location, owner, token }: FollowerOptions) =>
  Layer.scoped(
    Stops,
    Effect.gen(function* () {
      const { stopFeedGrace } = yield* ClientSettings
      const client = HttpClient.withTracerDisabledWhen(yield* HttpClient.HttpClient, () => true)
      const book = yield* openStopBook(owner)
      let after: string | undefined
      let heardAt = yield* Clock.currentTimeMillis
      let problem: string | undefined
      /** The claims of this process's token that the gatekeeper has accepted. */
      let own: TokenClaims | undefined

      const report = (now: string | undefined) =>
        Effect.suspend(() => {
          if (now === problem) return Effect.void
          problem = now
          return now === undefined
            ? Effect.logInfo("The feed of stops is followed.")
            : Effect.logWarning(
                `The gatekeeper's feed of stops cannot be followed: ${now}. Answers in flight end after STOP_FEED_GRACE.`
              )
        })

      const accept = (text: string, authorization: string) =>
        Effect.flatMap(decodeMessage(text), ({ next, policy_version, revocations }) =>
          Effect.gen(function* () {
            after = next
            own = bearerClaims(authorization)
            heardAt = yield* Clock.currentTimeMillis
            yield* book.add(revocations)
            if (policy_version !== null) yield* book.announcePolicy(policy_version)
            yield* book.save
            yield* report(undefined)
          })
        )

      const { poll, stream } = feedClient({ location, token }, client, () => after, accept)

      // A stream that has told something and ends is opened again at once: the gatekeeper ends it with our token.
      const follow = Effect.gen(function* () {
        const before = heardAt
        yield* Effect.catchAll(stream, ({ message }) => report(message))
        for (let polls = heardAt === before ? pollsBetween : 1; polls > 0; polls--) {
          const answered = yield* Effect.either(poll)
          if (answered._tag === "Left") {
            yield* report(answered.left.message)
            polls = 1
          }
          yield* Effect.sleep(pollInterval)
        }
      }).pipe(
        Effect.catchAllDefect((defect) => Effect.zipRight(report(String(defect)), Effect.sleep(pollInterval))),
        Effect.forever
      )
      yield* Effect.forkScoped(follow)

      return {
        ...book,
        feedProblem: Effect.map(Clock.currentTimeMillis, (now): FeedProblem | undefined => {
          // The gatekeeper has accepted the token, within its tolerance.
          if (own?.subject !== undefined && tokenStop(book.list(), own.subject, own, 0) !== undefined) return "stopped"
          return now - heardAt > Duration.toMillis(stopFeedGrace) ? "silent" : undefined
        })
      }
    })
  )
