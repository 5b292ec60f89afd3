import { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import { LockLost } from "./SchemaLock.ts"
import { StatementFailed } from "./Script.ts"

const field = (value: object, key: string): unknown => (key in value ? Reflect.get(value, key) : undefined)

/** The failure of ours below whatever an author wrapped around it (`cause`, and so on); undefined: there is none. */
export const migratorFailureIn = (thrown: unknown): StatementFailed | LockLost | DatabaseError | undefined => {
  if (thrown instanceof StatementFailed || thrown instanceof LockLost || thrown instanceof DatabaseError) return thrown
  return typeof thrown === "object" && thrown !== null ? migratorFailureIn(field(thrown, "cause")) : undefined
}
