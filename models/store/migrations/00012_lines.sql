-- +goose Up
CREATE TABLE access_lines (
  network VARCHAR(64) NOT NULL PRIMARY KEY,
  account VARCHAR(128) NOT NULL,
  session BINARY(32) NOT NULL,
  server BINARY(32) NOT NULL,
  heard_at BIGINT NOT NULL,
  ended BOOLEAN NOT NULL
);
CREATE INDEX access_lines_session ON access_lines (session);
CREATE INDEX access_lines_heard ON access_lines (heard_at);

CREATE TABLE access_servers (
  server BINARY(32) NOT NULL PRIMARY KEY,
  reset_at BIGINT NOT NULL
);
CREATE INDEX access_servers_reset ON access_servers (reset_at);
