import * as Prompt from "@effect/cli/Prompt"
import * as Effect from "effect/Effect"
import { refusal } from "./CommandRunner.ts"
import { isTerminal } from "./TerminalText.ts"

const isInteractive = Effect.sync(() => process.stdin.isTTY === true && isTerminal("stdout"))

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
 * Asks for confirmation before an action that cannot be undone; `--yes` answers. In a pipe the option that names the danger,
 * such as `--allow-data-loss`, is confirmation enough.
 */
export const confirmed = ({ yes }: { readonly yes: boolean }, question: string) =>
  yes ? Effect.void : Effect.if(isInteractive, { onTrue: () => ask(question), onFalse: () => Effect.void })
