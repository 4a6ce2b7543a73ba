// Takes the picture of the README from a running demo: node picture.mjs URL PASSWORD FILE.
import { open, signIn } from "./browser.mjs";

const [base, password, file] = process.argv.slice(2);
const { browser, page, faults } = await open(base);
await page.goto(`${base}/devices`);
await signIn(page, password);
await page.getByText("English").click();
await page.locator("tr[data-reachability=ONLINE]").nth(15).waitFor();
await page.locator("[data-live=live]").waitFor();
await page.screenshot({ path: file });
await browser.close();
if (faults.length > 0) throw new Error(faults.join("\n"));
