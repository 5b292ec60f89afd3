/**
 * The SQLSTATE of a source that belongs to another identity: of the class 28, invalid authorization, so that a drain pauses and
 * keeps everything; the rest is ours, as the standard leaves subclasses from S on to implementations.
 */
export const foreignSource = "28S01"
