import { useRef } from "react";

/** 128 random bits in hexadecimal. crypto.randomUUID is missing on a plain HTTP page, which lab mode may be. */
export function randomKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (octet) => octet.toString(16).padStart(2, "0")).join("");
}

/** Gives the same input the same idempotency key, so that sending a form again after a lost answer does nothing twice. */
export function useIdempotencyKey(): (input: unknown) => string {
  const last = useRef({ text: "", key: "" });
  return (input) => {
    const text = JSON.stringify(input);
    if (text !== last.current.text) last.current = { text, key: randomKey() };
    return last.current.key;
  };
}
