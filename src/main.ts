import { isStartedByTsx, relay } from "./app/TsxRelay.ts"
import { serviceNames } from "./domain/Service.ts"

/** Of the program that serves; a command may be cut short. */
const isServing = process.argv.slice(2).every((argument) => serviceNames.some((service) => service === argument))

if (isServing && isStartedByTsx(process.execArgv)) relay()
else await import("./app/Program.ts")
