import * as HttpApi from "@effect/platform/HttpApi"
import { HealthGroup } from "../platform/http/Health.ts"

export class GuardianApi extends HttpApi.make("guardian").add(HealthGroup) {}
