import { createContext, useContext } from "react";
import type { Permission } from "./documents";

/** What the person signed in may do; the server decides, this only hides what it would refuse. */
export const Rights = createContext<ReadonlySet<Permission>>(new Set());

export const useMay = () => {
  const rights = useContext(Rights);
  return (permission: Permission) => rights.has(permission);
};
