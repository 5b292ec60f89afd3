/** As much of OpenAPI 3.1, and of JSON Schema in it, as the services' documents use; a keyword that is not here is an error. */

type Json = Readonly<Record<string, unknown>>

const isObject = (value: unknown): value is Json => typeof value === "object" && value !== null && !Array.isArray(value)

const typeOf = (value: unknown): string =>
  value === null ? "null" : Array.isArray(value) ? "array" : Number.isInteger(value) ? "integer" : typeof value

const telling = new Set(["title", "description", "examples", "$comment", "format", "default"])

const pointed = (document: unknown, reference: string): unknown =>
  reference
    .replace(/^#\//, "")
    .split("/")
    .reduce<unknown>((found, step) => (isObject(found) ? found[step] : undefined), document)

const list = (value: unknown): ReadonlyArray<unknown> => (Array.isArray(value) ? value : [])

/** What is wrong with `value` for one keyword of a schema; nothing where it holds. */
const rules: Readonly<
  Record<
    string,
    (demanded: unknown, value: unknown, schema: Json, document: unknown, at: string) => ReadonlyArray<string>
  >
> = {
  $ref: (demanded, value, _, document, at) => problemsOf(document, pointed(document, String(demanded)), value, at),
  type: (demanded, value, _, __, at) => {
    const found = typeOf(value)
    const isFound = (type: unknown) => type === found || (type === "number" && found === "integer")
    return [demanded].flat().some(isFound) ? [] : [`${at} is ${found}, not ${String(demanded)}`]
  },
  enum: (demanded, value, _, __, at) =>
    list(demanded).includes(value) ? [] : [`${at} is not one of ${JSON.stringify(demanded)}`],
  const: (demanded, value, _, __, at) => (demanded === value ? [] : [`${at} is not ${JSON.stringify(demanded)}`]),
  anyOf: (demanded, value, _, document, at) => {
    const each = list(demanded).map((one) => problemsOf(document, one, value, at))
    return each.some((problems) => problems.length === 0) ? [] : each.flat()
  },
  allOf: (demanded, value, _, document, at) => list(demanded).flatMap((one) => problemsOf(document, one, value, at)),
  required: (demanded, value, _, __, at) =>
    isObject(value)
      ? list(demanded).flatMap((key) => (String(key) in value ? [] : [`${at} has no ${String(key)}`]))
      : [],
  properties: (demanded, value, _, document, at) =>
    isObject(value) && isObject(demanded)
      ? Object.entries(demanded).flatMap(([key, one]) =>
          key in value ? problemsOf(document, one, value[key], `${at}.${key}`) : []
        )
      : [],
  additionalProperties: (demanded, value, schema, document, at) => {
    if (!isObject(value)) return []
    const known = isObject(schema["properties"]) ? schema["properties"] : {}
    return Object.entries(value).flatMap(([key, one]) => {
      if (key in known) return []
      return demanded === false ? [`${at} has ${key}`] : problemsOf(document, demanded, one, `${at}.${key}`)
    })
  },
  items: (demanded, value, _, document, at) =>
    list(value).flatMap((one, index) => problemsOf(document, demanded, one, `${at}[${index}]`)),
  minItems: (demanded, value, _, __, at) => (list(value).length >= Number(demanded) ? [] : [`${at} is too short`]),
  maxItems: (demanded, value, _, __, at) => (list(value).length <= Number(demanded) ? [] : [`${at} is too long`]),
  minLength: (demanded, value, _, __, at) => (String(value).length >= Number(demanded) ? [] : [`${at} is too short`]),
  maxLength: (demanded, value, _, __, at) => (String(value).length <= Number(demanded) ? [] : [`${at} is too long`]),
  minimum: (demanded, value, _, __, at) => (Number(value) >= Number(demanded) ? [] : [`${at} is too small`]),
  maximum: (demanded, value, _, __, at) => (Number(value) <= Number(demanded) ? [] : [`${at} is too large`]),
  pattern: (demanded, value, _, __, at) =>
    new RegExp(String(demanded), "u").test(String(value)) ? [] : [`${at} does not match ${String(demanded)}`]
}

const problemsOf = (document: unknown, schema: unknown, value: unknown, at: string): ReadonlyArray<string> => {
  if (schema === true) return []
  if (!isObject(schema)) return [`${at} has no schema`]
  return Object.entries(schema).flatMap(([keyword, demanded]) => {
    if (telling.has(keyword)) return []
    const rule = rules[keyword]
    return rule === undefined ? [`${at}: ${keyword} has no reader`] : rule(demanded, value, schema, document, at)
  })
}

/** What an answer has that the document does not say of that operation; empty where the document is true. */
export const untoldIn = (
  document: unknown,
  operation: { readonly method: string; readonly path: string },
  answer: { readonly status: number; readonly contentType: string; readonly body: unknown }
): ReadonlyArray<string> => {
  const paths = isObject(document) ? document["paths"] : undefined
  const told = isObject(paths) ? pointed(paths[operation.path], operation.method.toLowerCase()) : undefined
  const responses = isObject(told) ? told["responses"] : undefined
  const response = isObject(responses) ? responses[String(answer.status)] : undefined
  if (!isObject(response)) return [`status ${answer.status}`]
  const content = isObject(response["content"]) ? response["content"][answer.contentType] : undefined
  return isObject(content) ? problemsOf(document, content["schema"], answer.body, "body") : [answer.contentType]
}
