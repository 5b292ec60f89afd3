import { createRequire } from "node:module"
import * as Path from "node:path"
import ts from "typescript"

/**
 * The type check of `tsc` and the diagnostics of Effect's language service, on one program. The service's own command makes the
 * program of all files again for each 50 of them, which takes four times as long as all the rest.
 */

/** As the package's entry for ts-patch has it; it tells of no types. */
type Transform = (
  program: ts.Program,
  options: object,
  extras: { readonly addDiagnostic: (diagnostic: ts.Diagnostic) => void; readonly ts: typeof ts }
) => (context: undefined) => (sourceFile: ts.SourceFile) => void

const transform: Transform = createRequire(import.meta.url)("@effect/language-service/transform").default

const project = Path.resolve(import.meta.dirname, "../..")

const formatHost: ts.FormatDiagnosticsHost = {
  getCurrentDirectory: () => project,
  getCanonicalFileName: (name) => name,
  getNewLine: () => "\n"
}

const configuration = ts.getParsedCommandLineOfConfigFile(Path.join(project, "tsconfig.json"), undefined, {
  ...ts.sys,
  onUnRecoverableConfigFileDiagnostic: (diagnostic) => {
    throw new Error(ts.formatDiagnostic(diagnostic, formatHost))
  }
})
if (configuration === undefined) throw new Error("tsconfig.json cannot be read")

const program = ts.createProgram({
  rootNames: configuration.fileNames,
  options: configuration.options,
  configFileParsingDiagnostics: configuration.errors
})
const found: Array<ts.Diagnostic> = [...ts.getPreEmitDiagnostics(program)]
const plugins: unknown = configuration.options["plugins"]
const settings = (Array.isArray(plugins) ? plugins : []).find(({ name }) => name === "@effect/language-service")
if (settings === undefined) throw new Error("tsconfig.json does not name the plugin @effect/language-service")
const ofEffect = transform(program, settings, { ts, addDiagnostic: (diagnostic) => found.push(diagnostic) })(undefined)
for (const name of configuration.fileNames) {
  const file = program.getSourceFile(name)
  if (file === undefined) throw new Error(`${name} is not part of the program`)
  ofEffect(file)
}

const sorted = ts.sortAndDeduplicateDiagnostics(found)
const format = process.stdout.isTTY ? ts.formatDiagnosticsWithColorAndContext : ts.formatDiagnostics
process.stdout.write(format(sorted, formatHost))
process.stdout.write(`${configuration.fileNames.length} files, ${sorted.length} errors and warnings\n`)
process.exitCode = sorted.length === 0 ? 0 : 1
