import { createHash } from "node:crypto"
import type { Stats } from "node:fs"
import * as Fs from "node:fs/promises"
import * as Os from "node:os"
import * as Path from "node:path"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { reasonOf } from "../platform/os/FileTrust.ts"
import * as PrivateFile from "../platform/os/PrivateFile.ts"

/** An account of the operating system without privileges: PostgreSQL refuses to run as root. */
export interface OsAccount {
  readonly name: string
  readonly uid: number
  readonly gid: number
}

/** One made for Gravitas, PostgreSQL's own, and the two that nearly every system has. */
const preferred: ReadonlyArray<string> = ["gravitas", "postgres", "nobody", "daemon"]

/** The accounts of a passwd file (passwd(5)) that are not root's. */
export const parsePasswd = (passwd: string): ReadonlyArray<OsAccount> =>
  passwd.split("\n").flatMap((line) => {
    const [name, , uid, gid] = line.split(":")
    return name !== undefined && /^\d+$/.test(uid ?? "") && /^\d+$/.test(gid ?? "") && Number(uid) > 0
      ? [{ name, uid: Number(uid), gid: Number(gid) }]
      : []
  })

/**
 * Chooses the account that PostgreSQL runs as when this process is root. It must be listed, since initdb looks its name up;
 * if none of the preferred ones is, any other will do.
 */
export const choose = (accounts: ReadonlyArray<OsAccount>): Option.Option<OsAccount> =>
  Option.firstSomeOf([
    ...preferred.map((name) => Option.fromNullable(accounts.find((one) => one.name === name))),
    Option.fromNullable(accounts[0])
  ])

/** Whether the account, which has no supplementary groups, may enter a directory. Access lists are ignored. */
export const canEnter = (directory: Pick<Stats, "uid" | "gid" | "mode">, account: OsAccount): boolean => {
  const execute = directory.uid === account.uid ? 0o100 : directory.gid === account.gid ? 0o010 : 0o001
  return (directory.mode & execute) !== 0
}

/** The embedded PostgreSQL has no directory in which its account can work. */
export class NoPlaceForPostgres extends Schema.TaggedError<NoPlaceForPostgres>()("NoPlaceForPostgres", {
  home: Schema.String,
  reason: Schema.String
}) {
  override get message(): string {
    return (
      `the embedded PostgreSQL of ${this.home} has no place to run: ${this.reason}. ` +
      "Correct that, or set GRAVITAS_HOME to another directory, or DATABASE_URL to a PostgreSQL of your own."
    )
  }
}

/** Where the lock, the password, the log, the binaries and the data of one home are, and who runs PostgreSQL there. */
export interface DataLocation {
  readonly home: string
  readonly directory: string
  readonly data: string
  /** None: the server runs as this process does. */
  readonly account: Option.Option<OsAccount>
  readonly notes: ReadonlyArray<string>
}

export interface DataLocationOptions {
  readonly home: string
  /** Tried in this order, as root, when the account cannot enter the home. */
  readonly elsewhere?: ReadonlyArray<string>
}

/** Directories that survive a reboot come first. */
const defaultElsewhere = (): ReadonlyArray<string> => [
  "/var/lib/gravitas",
  "/var/tmp/gravitas",
  Path.join(Os.tmpdir(), "gravitas")
]

const Pointer = Schema.parseJson(Schema.Struct({ directory: Schema.String }))

export const exists = (path: string): Promise<boolean> =>
  Fs.stat(path).then(
    () => true,
    () => false
  )

/** The outermost existing directory on the way to `path`, itself included, that the account may not enter. */
const barrier = async (path: string, account: OsAccount): Promise<Option.Option<string>> => {
  const parent = Path.dirname(path)
  if (parent !== path) {
    const above = await barrier(parent, account)
    if (Option.isSome(above)) return above
  }
  const stats = await Fs.stat(path).catch(() => undefined)
  return stats === undefined || canEnter(stats, account) ? Option.none() : Option.some(path)
}

/** Others may enter, not list. */
const enterable = 0o711

/** Makes it writable by root only; throws if another account owns it or may write there, as is possible below /tmp. */
const claim = (directory: string): void => {
  for (const one of [Path.dirname(directory), directory]) {
    PrivateFile.ensureDirectory(one, enterable)
  }
}

/** Where the data of a home already are, with a note if earlier data are gone. */
const recall = async (inside: string, pointer: string) => {
  const text = PrivateFile.read(pointer) ?? ""
  const pointed = Option.map(Schema.decodeOption(Pointer)(text), ({ directory }) => directory)
  if (Option.isSome(pointed) && (await exists(pointed.value))) {
    claim(pointed.value)
    return { known: pointed, notes: [] }
  }
  return {
    known: (await exists(Path.join(inside, "data"))) ? Option.some(inside) : Option.none<string>(),
    notes: Option.toArray(pointed).map((lost) => `the earlier data in ${lost} are gone`)
  }
}

/** The first base below which the account can work, in a directory that is named after the home. */
const firstOpen = async (bases: ReadonlyArray<string>, home: string, account: OsAccount) => {
  const name = createHash("sha256").update(home).digest("hex").slice(0, 16)
  for (const base of bases) {
    const directory = Path.join(base, name)
    try {
      claim(directory)
    } catch {
      continue
    }
    if (Option.isNone(await barrier(directory, account))) return Option.some(directory)
  }
  return Option.none<string>()
}

/**
 * Finds the location of a home: `<home>/postgres`, or, for root whose account cannot enter that, a directory named after the
 * home's path. Later starts find it again by `place.json` in the home. Data stay with the account that owns them, even when
 * the rights of the home or the list of accounts change.
 */
export const find = Effect.fn("EmbeddedPostgres.place")(function* (options: DataLocationOptions) {
  const given = Path.resolve(options.home)
  const refused = (reason: string) => new NoPlaceForPostgres({ home: given, reason })
  const attempt = <A>(body: () => Promise<A>) =>
    Effect.tryPromise({ try: body, catch: (cause) => refused(reasonOf(cause)) })

  const uid = process.getuid?.()
  const isRoot = uid === 0
  const home = yield* attempt(async () => {
    PrivateFile.ensureHome(given)
    PrivateFile.ensureDirectory(Path.join(given, "postgres"), isRoot ? enterable : 0o700)
    return Fs.realpath(given)
  })
  const inside = Path.join(home, "postgres")
  const pointer = Path.join(inside, "place.json")
  const { known, notes } = yield* attempt(() => recall(inside, pointer))
  const candidate = Option.getOrElse(known, () => inside)
  const owner = yield* attempt(() => Fs.stat(Path.join(candidate, "data")).then(Option.some, () => Option.none()))
  const place = (
    directory: string,
    account: Option.Option<OsAccount>,
    ...more: ReadonlyArray<string>
  ): DataLocation => ({
    home,
    directory,
    data: Path.join(directory, "data"),
    account,
    notes: [...notes, ...more]
  })
  const isIn = (directory: string) => `data and binaries are in ${directory}`
  const elsewhere = candidate === inside ? [] : [isIn(candidate)]

  if (!isRoot) {
    if (uid !== undefined && Option.isSome(owner) && owner.value.uid !== uid) {
      return yield* refused(
        `its data in ${candidate} belong to the user ${owner.value.uid}, and this process is ${uid}`
      )
    }
    return place(candidate, Option.none(), ...elsewhere)
  }

  const accounts = parsePasswd(yield* attempt(() => Fs.readFile("/etc/passwd", "utf8").catch(() => "")))
  const chosen = Option.match(owner, {
    onNone: () => choose(accounts),
    onSome: ({ gid, uid }) => Option.some(accounts.find((one) => one.uid === uid) ?? { name: `uid ${uid}`, uid, gid })
  })
  if (Option.isNone(chosen) || chosen.value.uid === 0) {
    return yield* refused(
      "PostgreSQL refuses to run as root, and /etc/passwd lists no other account (make one: useradd --system gravitas)"
    )
  }
  const account = chosen.value
  const runsAs = `PostgreSQL runs as ${account.name}, since it refuses to run as root`
  const barred = yield* attempt(() => barrier(candidate, account))
  if (Option.isNone(barred)) return place(candidate, chosen, runsAs, ...elsewhere)
  if (Option.isSome(known)) {
    return yield* refused(`its data are in ${candidate}, but ${account.name} may not enter ${barred.value}`)
  }
  const bases = options.elsewhere ?? defaultElsewhere()
  const open = yield* attempt(() => firstOpen(bases, home, account))
  if (Option.isNone(open)) {
    return yield* refused(`${account.name} may not enter ${barred.value}, nor work below ${bases.join(" or ")}`)
  }
  // Before any data are made there: a later start must find them.
  yield* attempt(async () => PrivateFile.replace(pointer, `${JSON.stringify({ directory: open.value })}\n`))
  return place(open.value, chosen, runsAs, `${isIn(open.value)}, since ${account.name} may not enter ${barred.value}`)
})
