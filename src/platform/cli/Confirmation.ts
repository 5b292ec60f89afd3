import * as Prompt from "@effect/cli/Prompt"
import * as Effect from "effect/Effect"
import { isTerminal } from "../telemetry/Logging.ts"
import { refusal } from "./CommandRefused.ts"

const someoneIsThere = Effect.sync(() => process.stdin.isTTY === true && isTerminal("stdout"))

const ask = (question: string) =>
  Prompt.confirm({ message: question, initial: false }).pipe(
    Effect.orElseSucceed(() => false),
    Effect.filterOrFail(
      (yes) => yes,
      () => refusal("not confirmed; nothing was run")
    ),
    Effect.asVoid
  )

/**
 * Asks a person once more before what cannot be taken back; `--yes` answers. Where nobody can be asked (a pipe), the option
 * that named the danger, such as `--allow-data-loss`, is the answer: the caller has looked for it.
 */
export const confirmed = ({ yes }: { readonly yes: boolean }, question: string) =>
  yes ? Effect.void : Effect.if(someoneIsThere, { onTrue: () => ask(question), onFalse: () => Effect.void })
