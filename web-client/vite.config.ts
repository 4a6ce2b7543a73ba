import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// The program that serves the build fills SOFTACS_NONCE in for every answer (embed.go).
export default defineConfig(({ command }) => ({
  plugins: [react()],
  html: command === "build" ? { cspNonce: "SOFTACS_NONCE" } : {},
  build: { assetsInlineLimit: 0, license: { fileName: "licenses.md" }, modulePreload: { polyfill: false }, chunkSizeWarningLimit: 1600 },
  server: { proxy: { "/graphql": { target: "http://127.0.0.1:8080", ws: true } } },
}));
