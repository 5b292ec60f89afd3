import type Pg from "pg"

/** A message of the protocol: its type, the length of what follows with itself, the text in UTF-8. */
const message = (type: string, text: string): Buffer => {
  const length = Buffer.byteLength(text)
  const bytes = Buffer.allocUnsafe(5 + length)
  bytes.write(type, "latin1")
  bytes.writeUInt32BE(length + 4, 1)
  bytes.write(text, 5)
  return bytes
}

const copyDone = message("c", "")

/**
 * A query whose text holds `copy … from stdin`, and the data of that COPY. The data follow the text at once, in the same round
 * trip: PostgreSQL reads them when it reaches the COPY, and ignores them if a statement fails before or during it. The driver's own
 * query and the usual stream wait for the server's answer first.
 */
class CopyQuery implements Pg.Submittable {
  private sent = 0
  private ended = false
  private thrown: { readonly cause: unknown } | undefined

  constructor(
    private readonly text: string,
    private readonly pieces: ReadonlyArray<() => string>,
    private readonly done: (failure?: { readonly cause: unknown }) => void
  ) {}

  submit(wire: Pg.Connection): void {
    wire.stream.cork()
    wire.query(this.text)
    this.sendNext(wire)
    wire.stream.uncork()
  }

  /** Sends a piece in each turn of the event loop: the server reads one while the next is made, and requests are answered. */
  private sendNext(wire: Pg.Connection): void {
    if (this.ended || !wire.stream.writable) return
    wire.stream.cork()
    try {
      const piece = this.pieces[this.sent]
      this.sent += 1
      if (piece !== undefined) wire.stream.write(message("d", piece()))
      if (this.sent >= this.pieces.length) wire.stream.write(copyDone)
      else setImmediate(() => this.sendNext(wire))
    } catch (cause) {
      this.thrown = { cause }
      wire.stream.write(message("f", "the data cannot be made\0"))
    }
    wire.stream.uncork()
  }

  private end(failure?: { readonly cause: unknown }): void {
    this.ended = true
    this.done(this.thrown ?? failure)
  }

  handleError(cause: unknown): void {
    this.end({ cause })
  }

  handleReadyForQuery(): void {
    this.end()
  }

  // Callbacks that the driver requires; the results of the statements are not used.
  handleCopyInResponse(): void {}
  handleCommandComplete(): void {}
  handleRowDescription(): void {}
  handleDataRow(): void {}
  handleEmptyQuery(): void {}
  handleCopyData(): void {}
  handlePortalSuspended(): void {}
}

/** Runs `text`, with `pieces` as the data of its COPY. Each piece is made when it is sent. Rejects with the server's error. */
export const copyFromStdin = (client: Pg.Client, text: string, pieces: ReadonlyArray<() => string>): Promise<void> =>
  new Promise((resolve, reject) => {
    client.query(new CopyQuery(text, pieces, (failure) => (failure === undefined ? resolve() : reject(failure.cause))))
  })
