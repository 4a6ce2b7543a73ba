import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { signStyles } from "../lib/environment";
import { LanguageProvider } from "../lib/i18n";
import { start } from "../lib/session";
import { App } from "./App";
import "./app.css";

signStyles();
void start();
const root = document.getElementById("root");
if (root) createRoot(root).render(<StrictMode><LanguageProvider><App /></LanguageProvider></StrictMode>);
