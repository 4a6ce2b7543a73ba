import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { LanguageProvider } from "../lib/i18n";
import { start } from "../lib/session";
import { App } from "./App";
import "./app.css";

void start();
const root = document.getElementById("root");
if (root) createRoot(root).render(<StrictMode><LanguageProvider><App /></LanguageProvider></StrictMode>);
