import { DeleteOutlined, PlusOutlined } from "@ant-design/icons";
import { Alert, App, Button, Drawer, Form, Input, InputNumber, Select, Space, Switch } from "antd";
import { useState } from "react";
import { useMutation } from "urql";
import { useRefusals } from "../../components/useRefusals";
import { CreateDeviceTaskDocument } from "../../lib/documents";
import type { TaskKind } from "../../lib/documents";
import { useWords } from "../../lib/i18n";
import { useIdempotencyKey } from "../../lib/random";
import { taskInput } from "./task";
import type { TaskValues } from "./task";

const kinds: readonly TaskKind[] = [
  "GET_VALUES", "SET_VALUES", "GET_NAMES", "GET_ATTRIBUTES", "SET_ATTRIBUTES", "ADD_OBJECT", "DELETE_OBJECT", "GET_RPC_METHODS", "SCHEDULE_INFORM", "REBOOT",
  "FACTORY_RESET",
];
const drastic: readonly TaskKind[] = ["REBOOT", "FACTORY_RESET", "DELETE_OBJECT"];
const types = ["xsd:string", "xsd:boolean", "xsd:int", "xsd:unsignedInt", "xsd:long", "xsd:unsignedLong", "xsd:dateTime", "xsd:base64"];
const fieldNames = ["kind", "paths", "values", "objectPath", "nextLevel", "notification", "expiresInSeconds"] as const;

interface Props {
  readonly device: string;
  readonly open: boolean;
  readonly onClose: () => void;
  readonly onDone: () => void;
}

/** Queues a task for a device. */
export function TaskForm({ device, open, onClose, onDone }: Props) {
  const words = useWords();
  const t = words.devices;
  const { message } = App.useApp();
  const [form] = Form.useForm<TaskValues>();
  const kind = Form.useWatch("kind", form) ?? "GET_VALUES";
  const [result, create] = useMutation(CreateDeviceTaskDocument);
  const refusals = useRefusals(form, fieldNames);
  const keyFor = useIdempotencyKey();
  const required = [{ required: true, message: words.session.required }];
  /** The same task may be wanted again once this form has done its work. */
  const [round, setRound] = useState(0);

  const submit = async (values: TaskValues) => {
    const input = taskInput(device, values);
    refusals.clear();
    const { data, error } = await create({ input: { ...input, idempotencyKey: keyFor([round, input]) } });
    if (!refusals.show({ error, refusals: data?.createDeviceTask.userErrors })) return;
    void message.success(t.queued);
    setRound(round + 1);
    form.resetFields();
    onDone();
    onClose();
  };

  return (
    <Drawer
      open={open}
      onClose={onClose}
      title={t.createTask}
      size={640}
      footer={
        <div className="pager">
          <Button onClick={onClose}>{words.cancel}</Button>
          <Button type="primary" danger={drastic.includes(kind)} loading={result.fetching} onClick={() => form.submit()}>{t.createTask}</Button>
        </div>
      }
    >
      {refusals.view()}
      <Form<TaskValues> form={form} layout="vertical" onFinish={submit} initialValues={{ kind: "GET_VALUES", nextLevel: true, notification: 1, delaySeconds: 60, expiresInSeconds: 86_400, values: [{ type: "xsd:string" }] }}>
        <Form.Item<TaskValues> name="kind" label={t.kind}><Select options={kinds.map((k) => ({ value: k, label: words.taskKind[k] }))} /></Form.Item>
        {(kind === "GET_VALUES" || kind === "GET_ATTRIBUTES" || kind === "SET_ATTRIBUTES") && (
          <Form.Item<TaskValues> name="paths" label={t.paths} extra={t.pathsHelp} rules={required}><Input.TextArea className="mono" rows={6} /></Form.Item>
        )}
        {kind === "SET_VALUES" && <Values />}
        {kind === "GET_NAMES" && (
          <>
            <Form.Item<TaskValues> name="objectPath" label={t.objectPath} rules={required}><Input className="mono" placeholder="Device." /></Form.Item>
            <Form.Item<TaskValues> name="nextLevel" label={t.nextLevel} valuePropName="checked"><Switch /></Form.Item>
          </>
        )}
        {kind === "SET_ATTRIBUTES" && (
          <Form.Item<TaskValues> name="notification" label={t.notification}>
            <Select options={[0, 1, 2].map((n) => ({ value: n, label: t.notifications[n] }))} style={{ width: 240 }} />
          </Form.Item>
        )}
        {(kind === "ADD_OBJECT" || kind === "DELETE_OBJECT") && (
          <Form.Item<TaskValues> name="objectPath" label={t.objectPath} extra={kind === "ADD_OBJECT" ? t.tableHelp : t.instanceHelp} rules={required}>
            <Input className="mono" placeholder={kind === "ADD_OBJECT" ? "Device.….Line." : "Device.….Line.2."} />
          </Form.Item>
        )}
        {kind === "SCHEDULE_INFORM" && (
          <Form.Item<TaskValues> name="delaySeconds" label={t.delaySeconds} rules={required}><InputNumber min={1} max={86_400} /></Form.Item>
        )}
        {kind === "REBOOT" && <Alert type="warning" showIcon title={t.rebootWarning} style={{ marginBottom: 16 }} />}
        {kind === "FACTORY_RESET" && <Alert type="warning" showIcon title={t.resetWarning} style={{ marginBottom: 16 }} />}
        <Form.Item<TaskValues> name="expiresInSeconds" label={t.validFor}>
          <Select options={[1, 24, 168].map((n) => ({ value: n * 3600, label: t.hours(n) }))} style={{ width: 160 }} />
        </Form.Item>
        <button type="submit" hidden />
      </Form>
    </Drawer>
  );
}

function Values() {
  const words = useWords();
  const t = words.devices;
  const required = [{ required: true, message: words.session.required }];
  return (
    <Form.List name="values">
      {(fields, { add, remove }, { errors }) => (
        <Form.Item label={t.values}>
          {fields.map(({ key, name }) => (
            <Space.Compact key={key} block>
              <Form.Item name={[name, "path"]} rules={required} style={{ flex: 3 }}><Input className="mono" aria-label={t.path} placeholder={t.path} /></Form.Item>
              <Form.Item name={[name, "type"]} style={{ width: 150 }}><Select aria-label={t.valueType} options={types.map((type) => ({ value: type, label: type }))} /></Form.Item>
              <Form.Item name={[name, "value"]} style={{ flex: 2 }}><Input className="mono" aria-label={t.value} placeholder={t.value} /></Form.Item>
              <Button icon={<DeleteOutlined aria-hidden />} aria-label={t.remove} disabled={fields.length === 1} onClick={() => remove(name)} />
            </Space.Compact>
          ))}
          <Button size="small" icon={<PlusOutlined aria-hidden />} disabled={fields.length >= 64} onClick={() => add({ type: "xsd:string" })}>{t.addValue}</Button>
          <Form.ErrorList errors={errors} />
        </Form.Item>
      )}
    </Form.List>
  );
}
