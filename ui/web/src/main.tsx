// Starts the pages.

import { QueryClientProvider } from "@tanstack/react-query";
import { createRoot } from "react-dom/client";
import { Router } from "wouter";
import { basePath } from "./api/client";
import { App } from "./app";
import { queryClient } from "./state/answers";
import "./style/base.css";
import "./style/shell.css";
import "./style/parts.css";
import "./style/views.css";

const root = document.getElementById("root");
if (root) {
  createRoot(root).render(
    <QueryClientProvider client={queryClient}>
      <Router base={basePath.replace(/\/$/, "")}>
        <App />
      </Router>
    </QueryClientProvider>,
  );
}
