import { ClearOutlined, PauseOutlined, CaretRightOutlined } from "@ant-design/icons";
import { Alert, Button, Select, Space } from "antd";
import { useState } from "react";
import { EventTable } from "../../components/EventTable";
import { Page } from "../../components/Page";
import { Live } from "../../components/State";
import type { EventPartsFragment, EventType } from "../../lib/documents";
import { useWords } from "../../lib/i18n";
import { useListAddress } from "../../lib/paging";
import { useLive } from "../../lib/useLive";

/** More rows than this help nobody and cost memory. */
const kept = 200;

/** What happens on the platform, as it happens. */
export default function LiveEvents() {
  const words = useWords();
  const t = words.events;
  const address = useListAddress();
  const all = Object.keys(words.eventType) as EventType[];
  const types = address.many("type", all);
  const [events, setEvents] = useState<readonly EventPartsFragment[]>([]);
  const [gap, setGap] = useState(false);
  const [paused, setPaused] = useState(false);
  const state = useLive({
    filter: types.length > 0 ? { types } : {}, paused,
    onGap: () => setGap(true),
    onEvent: (event) => setEvents((before) => [event, ...before].slice(0, kept)),
  });
  const shown = types.length > 0 ? events.filter((e) => types.includes(e.type)) : events;
  return (
    <Page
      title={t.title}
      mark={!paused && <Live state={state} />}
      actions={
        <Space>
          <Button icon={paused ? <CaretRightOutlined aria-hidden /> : <PauseOutlined aria-hidden />} type={paused ? "primary" : "default"} onClick={() => setPaused(!paused)}>{paused ? t.resume : t.pause}</Button>
          <Button icon={<ClearOutlined aria-hidden />} onClick={() => setEvents([])}>{t.clear}</Button>
        </Space>
      }
    >
      {paused && <Alert type="info" showIcon title={t.pausedHint} style={{ marginBottom: 12 }} />}
      {gap && <Alert type="warning" showIcon title={t.gap} closable={{ onClose: () => setGap(false) }} style={{ marginBottom: 12 }} />}
      <div className="panel">
        <div className="filters">
          <label>{t.types}
            <Select mode="multiple" value={types} placeholder={words.all} style={{ minWidth: 320, maxWidth: 720 }} options={all.map((type) => ({ value: type, label: words.eventType[type] }))}
              onChange={(value) => address.change({ type: value })} />
          </label>
          <span className="quiet">{t.shown(kept)}</span>
        </div>
        <EventTable events={shown} empty={t.waiting} />
      </div>
    </Page>
  );
}
