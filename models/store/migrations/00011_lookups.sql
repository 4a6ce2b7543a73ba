-- +goose Up
CREATE INDEX accounts_display_name ON accounts (display_name, id);
CREATE INDEX accounts_impi ON accounts (impi);
CREATE INDEX events_history ON events (account_id, type, occurred_at, id);
CREATE INDEX audit_entries_outcome ON audit_entries (outcome, at, id);
CREATE INDEX audit_entries_history ON audit_entries (subject_id, outcome, at, id);
CREATE INDEX audit_entries_actor ON audit_entries (actor_id, outcome, at, id);
CREATE INDEX audit_entries_action ON audit_entries (action, outcome, at, id);
CREATE INDEX audit_entries_id ON audit_entries (id);
CREATE INDEX accounts_region_name ON accounts (region, display_name, id);
CREATE INDEX devices_region_serial ON devices (region, serial_number, id);

CREATE TABLE device_marks (
  device_id BINARY(16) NOT NULL,
  kind VARCHAR(8) NOT NULL,
  mark VARCHAR(32) NOT NULL,
  PRIMARY KEY (device_id, kind)
);
CREATE INDEX device_marks_mark ON device_marks (mark, device_id);
