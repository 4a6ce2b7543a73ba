import { PlusOutlined } from "@ant-design/icons";
import { App, Button, Select, Table } from "antd";
import { useEffect, useEffectEvent, useState } from "react";
import { useMutation, useQuery } from "urql";
import { Facts, Panel } from "../../components/Page";
import { Turner } from "../../components/Pager";
import { Nothing, Result } from "../../components/Result";
import { State } from "../../components/State";
import { Time } from "../../components/Time";
import { CancelDeviceTaskDocument, DeviceTasksDocument } from "../../lib/documents";
import type { DeviceTasksQuery, TaskState } from "../../lib/documents";
import { actorName } from "../../lib/format";
import { useWords } from "../../lib/i18n";
import { useTurns } from "../../lib/paging";
import { useMay } from "../../lib/rights";
import { TaskForm } from "./TaskForm";

type Task = NonNullable<DeviceTasksQuery["device"]>["tasks"]["nodes"][number];

const pageSize = 20;
const states: readonly TaskState[] = ["PENDING", "SENT", "ACKNOWLEDGED", "SUCCEEDED", "FAILED", "EXPIRED", "CANCELLED"];

/** The device's tasks; each opens to what was asked and answered. */
export function Tasks({ id, changes }: { readonly id: string; readonly changes: number }) {
  const words = useWords();
  const t = words.devices;
  const may = useMay();
  const [state, setState] = useState<TaskState>();
  const turns = useTurns();
  const [creating, setCreating] = useState(false);
  const [result, read] = useQuery({ query: DeviceTasksDocument, variables: { id, first: pageSize, ...(state ? { state } : {}), ...(turns.after ? { after: turns.after } : {}) } });
  const again = () => read({ requestPolicy: "network-only" });
  const reread = useEffectEvent(again);
  useEffect(() => {
    if (changes > 0) reread();
  }, [changes]);
  return (
    <Panel flush>
      <div className="filters">
        <label>{t.taskState}
          <Select allowClear value={state} placeholder={words.all} style={{ width: 180 }} options={states.map((s) => ({ value: s, label: words.taskState[s] }))}
            onChange={(value: TaskState | undefined) => {
              turns.start();
              setState(value);
            }} />
        </label>
        <Button onClick={again}>{words.refresh}</Button>
        {may("DEVICE_WRITE") && <Button type="primary" icon={<PlusOutlined aria-hidden />} onClick={() => setCreating(true)}>{t.createTask}</Button>}
      </div>
      <Result result={result} retry={again}>
        {({ device }) => (
          <>
            <Table<Task>
              size="small"
              rowKey="id"
              dataSource={device?.tasks.nodes ?? []}
              pagination={false}
              scroll={{ x: "max-content" }}
              locale={{ emptyText: <Nothing text={t.noTasks} /> }}
              onRow={(task) => ({ "data-task": task.kind, "data-state": task.state }) as object}
              expandable={{ expandedRowRender: (task) => <Outcome task={task} /> }}
              columns={[
                { title: t.kind, key: "kind", render: (_, task) => words.taskKind[task.kind] },
                { title: t.taskState, key: "state", render: (_, task) => <State of="taskState" value={task.state} /> },
                { title: t.attempts, dataIndex: "attempts", key: "attempts" },
                { title: t.taskCreated, key: "created", render: (_, task) => <Time at={task.createdAt} /> },
                { title: t.taskDone, key: "done", render: (_, task) => <Time at={task.completedAt} /> },
                { title: t.expires, key: "expires", render: (_, task) => <Time at={task.expiresAt} /> },
                { title: t.by, key: "by", render: (_, task) => actorName(task.createdBy, words) },
                ...(may("DEVICE_WRITE") ? [{ title: "", key: "cancel", render: (_: unknown, task: Task) => task.state === "PENDING" && <Cancel id={task.id} onDone={again} /> }] : []),
              ]}
            />
            <Turner turns={turns} page={device?.tasks.pageInfo} />
          </>
        )}
      </Result>
      <TaskForm device={id} open={creating} onClose={() => setCreating(false)} onDone={again} />
    </Panel>
  );
}

function Cancel({ id, onDone }: { readonly id: string; readonly onDone: () => void }) {
  const t = useWords().devices;
  const { message } = App.useApp();
  const [result, cancel] = useMutation(CancelDeviceTaskDocument);
  const submit = async () => {
    const { data, error } = await cancel({ input: { id } });
    const refused = error?.message ?? data?.cancelDeviceTask.userErrors[0]?.message;
    if (refused) void message.error(refused);
    onDone();
  };
  return <Button size="small" loading={result.fetching} onClick={() => void submit()}>{t.cancelTask}</Button>;
}

function Outcome({ task }: { readonly task: Task }) {
  const words = useWords();
  const t = words.devices;
  const shown = (value: unknown) => (value === null ? null : <pre className="json mono">{JSON.stringify(value, null, 2)}</pre>);
  return (
    <Facts rows={[
      [t.request, shown(task.request)],
      [t.result, shown(task.result)],
      ...(task.fault ? [[t.fault, (
        <>
          <div><span className="mono">{task.fault.code}</span> {task.fault.message}</div>
          {task.fault.parameterFaults.map((f) => <div key={f.path} className="mono">{f.path}: {f.code} {f.message}</div>)}
        </>
      )] as const] : []),
    ]} />
  );
}
