import type { Stats } from "node:fs"
import * as Option from "effect/Option"

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
