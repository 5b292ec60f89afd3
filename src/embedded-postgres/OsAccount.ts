import type { Stats } from "node:fs"
import * as Option from "effect/Option"

/** An account of the operating system without privileges: PostgreSQL refuses to run as root. */
export interface Account {
  readonly name: string
  readonly uid: number
  readonly gid: number
}

/** One made for us, PostgreSQL's own, and the two that nearly every system has. */
const preferred: ReadonlyArray<string> = ["gravitas", "postgres", "nobody", "daemon"]

/** The accounts of a passwd file (passwd(5)) that are not root's. */
export const parsePasswd = (passwd: string): ReadonlyArray<Account> =>
  passwd.split("\n").flatMap((line) => {
    const [name, , uid, gid] = line.split(":")
    return name !== undefined && /^\d+$/.test(uid ?? "") && /^\d+$/.test(gid ?? "") && Number(uid) > 0
      ? [{ name, uid: Number(uid), gid: Number(gid) }]
      : []
  })

/**
 * The account that PostgreSQL runs as when we are root. It must be a listed one, since initdb looks its name up; where
 * none of the usual ones is there, any other will do.
 */
export const choose = (accounts: ReadonlyArray<Account>): Option.Option<Account> =>
  Option.firstSomeOf([
    ...preferred.map((name) => Option.fromNullable(accounts.find((one) => one.name === name))),
    Option.fromNullable(accounts[0])
  ])

/** Whether the account, which has no supplementary groups, may pass through a directory. Access lists are not looked at. */
export const canEnter = (directory: Pick<Stats, "uid" | "gid" | "mode">, account: Account): boolean => {
  const execute = directory.uid === account.uid ? 0o100 : directory.gid === account.gid ? 0o010 : 0o001
  return (directory.mode & execute) !== 0
}
