import { serviceNames } from "./domain/Service.ts"
import { isStartedByTsx, relay } from "./launch/TsxRelay.ts"

/** Of the program that serves; a command may be cut short. */
const isServing = process.argv.slice(2).every((argument) => serviceNames.some((service) => service === argument))

if (isServing && isStartedByTsx(process.execArgv)) relay()
else await import("./launch/Program.ts")
