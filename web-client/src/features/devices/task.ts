import type { CreateDeviceTaskInput, TaskKind } from "../../lib/documents";
import { lines } from "../../lib/fields";

/** What the form of a task holds. */
export interface TaskValues {
  readonly kind: TaskKind;
  readonly paths?: string;
  readonly values?: ReadonlyArray<{ readonly path?: string; readonly value?: string; readonly type: string }>;
  readonly objectPath?: string;
  readonly nextLevel?: boolean;
  readonly notification?: number;
  readonly delaySeconds?: number;
  readonly expiresInSeconds: number;
}

/** Each kind takes its own arguments and no others. */
export function taskInput(device: string, { kind, paths, values = [], objectPath = "", nextLevel = true, notification = 0, delaySeconds = 60, expiresInSeconds }: TaskValues): Omit<CreateDeviceTaskInput, "idempotencyKey"> {
  const input = { device: { id: device }, kind, expiresInSeconds };
  switch (kind) {
    case "GET_VALUES":
    case "GET_ATTRIBUTES":
      return { ...input, paths: lines(paths) };
    case "SET_VALUES":
      return { ...input, values: values.map(({ path = "", value = "", type }) => ({ path: path.trim(), value, type })) };
    case "GET_NAMES":
      return { ...input, objectPath: objectPath.trim(), nextLevel };
    case "SET_ATTRIBUTES":
      return { ...input, paths: lines(paths), notification };
    case "ADD_OBJECT":
    case "DELETE_OBJECT":
      return { ...input, objectPath: objectPath.trim() };
    case "SCHEDULE_INFORM":
      return { ...input, arguments: { delaySeconds } };
    case "REBOOT":
    case "FACTORY_RESET":
    case "GET_RPC_METHODS":
      return input;
    case "DOWNLOAD": // made where packages are, not by this form
      throw new Error("a download needs a package");
  }
}
