import { relayUnderTsx } from "./app/TsxSignals.ts"

// The `tsx` command could kill a busy server; under it, the program runs in a child process and this one passes signals on.
if (!relayUnderTsx()) {
  const { run } = await import("./app/Cli.ts")
  run()
}
