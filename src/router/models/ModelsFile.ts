import * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { tiers } from "../../contracts/router/ChatSchemas.ts"
import { automatic, type Catalog, type Ghost, type ProviderSpec, type Shell, tokenLimitFields } from "./Catalog.ts"
import { type ModelsReading, makeModelsReading } from "./ModelsReading.ts"
import { historyResource, maximumResourceLength, shellResource } from "./ShellResource.ts"
import { readTimeouts } from "./TimeoutsReading.ts"

/** The file of models cannot be used; every problem has its line and column, counted from 1. */
export class ModelsRefused extends Schema.TaggedError<ModelsRefused>()("ModelsRefused", {
  file: Schema.String,
  problems: Schema.Array(Schema.Struct({ line: Schema.Number, column: Schema.Number, problem: Schema.String }))
}) {
  override get message(): string {
    const lines = this.problems.map(({ line, column, problem }) => `  ${this.file}:${line}:${column}: ${problem}`)
    return `Models refused. Correct the file, or name another by ROUTER_MODELS_PATH:\n${lines.join("\n")}`
  }
}

const kinds = ["openai-compatible", "echo"] as const

const readProvider = (reading: ModelsReading, name: string, node: unknown): ProviderSpec => {
  const { at, choice, fields, note, text } = reading
  const found = fields(node, `provider ${name}`, {
    required: ["kind"],
    optional: ["base_url", "api_key_env", "token_limit", "timeouts"]
  })
  const kind = choice(found.get("kind"), `kind of provider ${name}`, kinds) ?? "echo"
  const needsUrl = kind === "openai-compatible"
  const foreign = needsUrl ? [] : ["base_url", "api_key_env", "token_limit"].filter((field) => found.has(field))
  if (foreign.length > 0) {
    note(at(node), `provider ${name} is of kind echo, which has no ${foreign.join(" and no ")}`)
  }
  const given = found.has("base_url") ? text(found.get("base_url"), `base_url of provider ${name}`) : ""
  const url = URL.canParse(given) ? new URL(given) : undefined
  if (needsUrl && !found.has("base_url")) note(at(node), `provider ${name} lacks "base_url"`)
  else if (needsUrl && given !== "") {
    // Its value may hold what should not be shown: it is not repeated.
    if (url === undefined || !/^https?:$/.test(url.protocol)) {
      note(at(found.get("base_url")), `base_url of provider ${name} must be an http or https URL`)
    } else if (url.username + url.password + url.search + url.hash !== "") {
      note(at(found.get("base_url")), `base_url of provider ${name} must have no user, password, query or fragment`)
    }
  }
  const variable = found.has("api_key_env") ? text(found.get("api_key_env"), `api_key_env of provider ${name}`) : ""
  if (variable !== "" && !/^[A-Za-z_][A-Za-z0-9_]*$/.test(variable)) {
    note(
      at(found.get("api_key_env")),
      `api_key_env of provider ${name} must be the NAME of a variable, such as DEEPINFRA_API_KEY, not the key`
    )
  }
  return {
    name,
    kind,
    baseUrl: given.replace(/\/+$/, ""),
    apiKeyVariable: variable === "" ? undefined : variable,
    tokenLimit: choice(found.get("token_limit"), `token_limit of provider ${name}`, tokenLimitFields) ?? "max_tokens",
    timeouts: readTimeouts(reading, name, found.get("timeouts"))
  }
}

const readShell = (
  { at, choice, fields, note, text }: ModelsReading,
  name: string,
  node: unknown,
  providers: ReadonlyMap<string, ProviderSpec>
): Shell => {
  const found = fields(node, `shell ${name}`, { required: ["tier", "provider"], optional: ["model"] })
  const tier = choice(found.get("tier"), `tier of shell ${name}`, tiers) ?? "L1"
  const provider = found.has("provider") ? text(found.get("provider"), `provider of shell ${name}`) : ""
  if (provider !== "" && !providers.has(provider)) {
    note(at(found.get("provider")), `shell ${name} is of provider ${provider}, which is none here`)
  }
  const upstreamModel = found.has("model") ? text(found.get("model"), `model of shell ${name}`) : name
  return { name, tier, provider, upstreamModel }
}

const readGhost = (
  { at, fields, list, note, text }: ModelsReading,
  name: string,
  node: unknown,
  shells: ReadonlyMap<string, Shell>
): Ghost | undefined => {
  const found = fields(node, `ghost ${name}`, { required: ["preferred_shell"], optional: ["fallback_shells"] })
  const named = [
    ...(found.has("preferred_shell") ? [found.get("preferred_shell")] : []),
    ...(found.has("fallback_shells") ? list(found.get("fallback_shells"), `fallback_shells of ghost ${name}`) : [])
  ]
  const chosen = new Map<string, Shell>()
  for (const one of named) {
    const shellName = text(one, `a shell of ghost ${name}`)
    const shell = shells.get(shellName)
    if (shellName !== "" && shell === undefined)
      note(at(one), `ghost ${name} names ${shellName}, which is no shell here`)
    else if (chosen.has(shellName)) note(at(one), `ghost ${name} names ${shellName} twice`)
    else if (shell !== undefined) chosen.set(shellName, shell)
  }
  const [first, ...rest] = chosen.values()
  return first === undefined ? undefined : { name, shells: [first, ...rest] }
}

/** Reads a catalogue's YAML. Keys that it does not know are refused: a misspelt one would silently change who answers. */
export const parseModels = (text: string, file: string): Either.Either<Catalog, ModelsRefused> => {
  const reading = makeModelsReading(text)
  const { at, fields, named, note } = reading
  const providers = new Map<string, ProviderSpec>()
  const shells = new Map<string, Shell>()
  const ghosts = new Map<string, Ghost>()
  if (reading.isYaml) {
    const root = fields(reading.contents, "the file", { required: ["providers", "shells"], optional: ["ghosts"] })
    for (const { name, node } of named(root.get("providers"), "provider")) {
      providers.set(name, readProvider(reading, name, node))
    }
    const folded = new Map<string, string>()
    for (const { key, name, node } of named(root.get("shells"), "shell")) {
      const shell = readShell(reading, name, node, providers)
      const twin = folded.get(name.toLowerCase())
      if (twin !== undefined)
        note(at(key), `shells ${twin} and ${name} differ by case only, which a reader of a policy misses`)
      if (name === automatic)
        note(at(key), `a shell must not be called ${automatic}: that leaves the choice to the tier`)
      if (shellResource(shell).length > maximumResourceLength) note(at(key), `the name of shell ${name} is too long`)
      folded.set(name.toLowerCase(), name)
      shells.set(name, shell)
    }
    for (const { key, name, node } of named(root.get("ghosts"), "ghost")) {
      const ghost = readGhost(reading, name, node, shells)
      if (shells.has(name)) note(at(key), `${name} is a shell and a ghost: a request could mean either`)
      if (name === automatic)
        note(at(key), `a ghost must not be called ${automatic}: that leaves the choice to the tier`)
      if (historyResource(name).length > maximumResourceLength) note(at(key), `the name of ghost ${name} is too long`)
      if (ghost !== undefined) ghosts.set(name, ghost)
    }
  }
  const problems = reading.problems()
  return problems.length > 0
    ? Either.left(new ModelsRefused({ file, problems }))
    : Either.right({ providers, shells, ghosts })
}

export const loadModels = (file: string): Effect.Effect<Catalog, ModelsRefused, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const files = yield* FileSystem.FileSystem
    const text = yield* files.readFileString(file).pipe(
      Effect.mapError((error) => {
        const problem = error._tag === "SystemError" && error.reason === "NotFound" ? "no such file" : error.message
        return new ModelsRefused({ file, problems: [{ line: 1, column: 1, problem }] })
      })
    )
    return yield* parseModels(text, file)
  })
