// What people do with the web client, against a running platform: node journey.mjs URL PASSWORD FOLDER. Screenshots go to FOLDER. What happens outside the
// browser is asked for: one JSON object a line on standard output, one line of answer on standard input.
import assert from "node:assert/strict";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { open, signIn } from "./browser.mjs";

const [base, password, folder] = process.argv.slice(2);
const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

async function ask(what) {
  console.log(JSON.stringify(what));
  const { value, done } = await answers.next();
  if (done || value !== "done") throw new Error(`${JSON.stringify(what)}: ${value}`);
}

const { browser, context, page, faults } = await open(base);
const picture = (name) => page.screenshot({ path: join(folder, `${name}.png`) });
const button = (name) => page.getByRole("button", { name });
/** The buttons of the page itself; what is suggested beside a cause of bad health may have the same name. */
const action = (name) => page.locator(".head").getByRole("button", { name });
const visit = (name) => page.getByRole("navigation").getByRole("link", { name }).click();
const drawer = page.locator(".ant-drawer-open");

/** Only a load of the page would lose this mark. */
const mark = () => page.evaluate(() => void (window.stayed = true));
const stayed = () => page.evaluate(() => window.stayed === true);

async function signsIn() {
  await page.goto(`${base}/devices?sort=SERIAL_NUMBER`);
  await page.getByRole("note").waitFor(); // the banner of lab mode
  await signIn(page, "not the password");
  await page.getByText("用户名或密码不正确").waitFor();
  await picture("sign-in");
  await signIn(page, password);
  await page.getByText("没有符合条件的终端").waitFor();
  assert.equal(page.url(), `${base}/devices?sort=SERIAL_NUMBER`, "signing in leads to the page that was asked for");
  await mark();
}

const msisdn = "+862161110001";
const mobile = "+8613811110001";

async function provisions() {
  await visit("账户");
  await button("开户").click();
  await drawer.getByLabel("外部编号").fill("e2e-1");
  await drawer.getByLabel("IMS 号码").fill("12345");
  await drawer.getByLabel("姓名").fill("王小明");
  await drawer.getByLabel("绑定手机").fill(mobile);
  await drawer.getByRole("button", { name: "开户" }).click();
  await drawer.getByText("号码为 + 加 8 至 15 位数字").waitFor();
  await drawer.getByLabel("IMS 号码").fill(msisdn);
  await drawer.getByLabel("姓名").fill("王小明 ");
  await drawer.getByRole("button", { name: "开户" }).click();
  await drawer.locator(".ant-form-item", { hasText: "姓名" }).getByText("格式或取值不正确").waitFor(); // the server's refusal stands beside its field
  await picture("refused");
  await drawer.getByLabel("姓名").fill("王小明");
  await drawer.getByRole("button", { name: "开户" }).click();
  await page.getByRole("heading", { name: "王小明" }).waitFor();
  await page.getByText("account.created").waitFor();
  await picture("account");
}

async function watchesClientComeOnline() {
  await visit("终端");
  await page.getByText("没有符合条件的终端").waitFor();
  await page.locator("[data-live=live]").waitFor();
  await ask({ do: "login", msisdn, mobile });
  await page.locator("tr[data-reachability=ONLINE]", { hasText: "e2e-1" }).waitFor();
  assert.ok(await stayed(), "the list follows without a reload");
  await picture("devices");
}

async function runsTask() {
  await page.locator("tr[data-serial] a").first().click();
  await page.getByText("cfg-000000001").first().waitFor();
  await button("新建任务").click();
  await drawer.getByLabel("参数路径").fill("Device.DeviceInfo.SoftwareVersion");
  await drawer.getByRole("button", { name: "新建任务" }).click();
  await page.locator("tr[data-task=GET_VALUES][data-state=PENDING]").waitFor();
  await ask({ do: "heartbeat" });
  const done = page.locator("tr[data-task=GET_VALUES][data-state=SUCCEEDED]");
  await done.waitFor();
  await done.getByRole("button").click();
  await page.locator("pre", { hasText: '"value"' }).waitFor();
  await picture("task");
  await page.getByRole("tab", { name: "参数" }).click();
  await page.getByText("Device.DeviceInfo.SoftwareVersion").waitFor();
  await page.getByRole("tab", { name: "事件" }).click();
  await page.getByText("task.succeeded").waitFor();
  await page.getByRole("link", { name: "e2e-1" }).first().click();
  await page.getByRole("heading", { name: "王小明" }).waitFor();
  await page.goBack();
  await page.getByText("task.succeeded").waitFor(); // the list that was open is in the address
  await page.goForward();
  assert.ok(await stayed(), "the back button loads nothing");
}

async function resolvesConflict() {
  await action("修改").click();
  await drawer.getByLabel("姓名").fill("王大明");
  await ask({ do: "modify", msisdn, region: "pudong" });
  await drawer.getByRole("button", { name: "保存" }).click();
  await page.getByText("此账户刚被他人修改").waitFor();
  assert.equal(await drawer.getByLabel("区域").inputValue(), "pudong", "what somebody else changed is in the form");
  assert.equal(await drawer.getByLabel("姓名").inputValue(), "王大明", "what the person changed stays");
  await drawer.getByRole("button", { name: "保存" }).click();
  await page.getByRole("heading", { name: "王大明" }).waitFor();
  await page.getByRole("dialog").waitFor({ state: "hidden" });
}

/** A customer who did not pay, paid, and has forgotten the password. */
async function caresForCustomer() {
  const dialogue = page.getByRole("dialog");
  // A click while the dialogue still grows may miss what it is meant for.
  const opens = async (name, from = action(name)) => {
    await from.click();
    await dialogue.waitFor();
    await page.waitForFunction(() => document.querySelector(".ant-zoom-appear, .ant-zoom-enter") === null);
  };
  const act = async (name, fill = () => {}, from = action(name)) => {
    await opens(name, from);
    await fill();
    await dialogue.getByRole("button", { name }).click();
    await dialogue.waitFor({ state: "hidden" });
  };
  await act("停机", async () => {
    await dialogue.getByRole("button", { name: "停机" }).click();
    await dialogue.getByText("请填写此项").waitFor(); // a suspension has a reason
    await dialogue.getByLabel("原因").click();
    await page.getByTitle("欠费").click();
    await page.locator(".ant-select-dropdown").waitFor({ state: "hidden" });
    await dialogue.getByLabel("备注").fill("两期未缴");
    await picture("suspend");
  });
  await page.getByText("account.suspended").waitFor();
  await page.getByText("两期未缴").waitFor();
  await picture("suspended");
  const cause = page.locator("[data-cause=ACCOUNT_SUSPENDED]");
  await cause.getByText("账户已停机（欠费）").waitFor();
  await act("复机", () => {}, cause.getByRole("button", { name: "复机" }));
  await cause.waitFor({ state: "detached" });
  await page.getByText("account.resumed").waitFor();
  await act("重置密码");
  await page.getByText("密码短信已排队，发往 +").waitFor();
  await page.locator("tr", { hasText: "登录密码" }).getByText("已送达").waitFor();
  await page.getByText("client.reauth_required").waitFor();
  await picture("care");
  await opens("销户");
  await dialogue.getByLabel("请输入外部编号").fill("e2e-2");
  await dialogue.getByRole("button", { name: "销户" }).click();
  await dialogue.getByText("与此账户的外部编号或号码不一致").waitFor(); // closing is never one click
  await picture("close");
  await dialogue.getByRole("button", { name: "取消" }).click();
  await dialogue.waitFor({ state: "hidden" });
  await act("强制下线");
  await page.locator("tr", { hasText: "PC 客户端" }).getByRole("link").click();
  await page.getByText("被平台强制下线").waitFor();
  await page.getByRole("tab", { name: "在线记录" }).click();
  await page.locator("tr[data-presence=ONLINE]", { hasText: "从未上线" }).waitFor();
  await picture("device");
}

/** A caller says a number as people do; what happened is told from its end, and who did it is on record. */
async function findsCustomer() {
  const box = page.getByRole("searchbox");
  await box.fill("021-6111 0001");
  await box.press("Enter");
  await page.getByRole("heading", { name: "王大明" }).waitFor();
  await page.locator("tr[data-kind=OPERATOR]", { hasText: "停机" }).waitFor();
  await page.locator("tr[data-kind=SMS]", { hasText: "短信已送达" }).first().waitFor();
  await picture("timeline");
  await box.fill("nobody");
  await box.press("Enter");
  await page.getByText("未找到").waitFor();
  await visit("审计日志");
  await page.locator("tr[data-action=suspendAccount]", { hasText: "成功" }).waitFor();
  await page.locator("tr[data-action=search]", { hasText: "查看敏感数据" }).first().waitFor();
  await picture("audit");
}

async function followsEvents() {
  await visit("实时事件");
  await page.locator("[data-live=live]").waitFor();
  await ask({ do: "modify", msisdn, region: "minhang" });
  const changes = page.getByText("account.changed");
  await changes.first().waitFor();
  await button("暂停").click();
  await ask({ do: "modify", msisdn, region: "xuhui" });
  await button("继续").click();
  await changes.nth(1).waitFor();
  assert.equal(await changes.count(), 2, "each event is shown once");
  await picture("events");
}

async function readsEnglish() {
  await page.getByText("English").click();
  await page.getByRole("heading", { name: "Live events" }).waitFor();
  assert.equal(await page.locator("html").getAttribute("lang"), "en");
  await page.goto(`${base}/accounts?text=e2e-1&state=ACTIVE`); // a new page: the session comes back by its cookie, the language from what is remembered
  await page.getByRole("heading", { name: "Accounts" }).waitFor();
  await page.getByRole("link", { name: msisdn }).waitFor();
  await picture("english");
  const kept = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]));
  assert.ok(!/eyJ|refresh/.test(kept), `scripts find no token: ${kept}`);
  const cookies = await context.cookies(`${base}/graphql`);
  assert.ok(cookies.length === 1 && cookies[0].httpOnly && cookies[0].sameSite === "Strict", "the refresh token is an HttpOnly cookie");
}

async function signsOut() {
  await button("Sign out").click();
  await page.getByLabel("User name").waitFor();
  await page.reload();
  await page.getByLabel("User name").waitFor();
  assert.equal((await context.cookies(`${base}/graphql`)).length, 0, "the cookie is gone");
}

try {
  for (const step of [signsIn, provisions, watchesClientComeOnline, runsTask, resolvesConflict, caresForCustomer, findsCustomer, followsEvents, readsEnglish, signsOut]) {
    try {
      await step();
    } catch (error) {
      await picture("failed");
      console.error(`${step.name}: ${error.stack}\n${await page.locator("body").innerText()}`);
      process.exitCode = 1;
      break;
    }
  }
  if (faults.length > 0) {
    console.error(faults.join("\n"));
    process.exitCode = 1;
  }
} finally {
  await browser.close();
  process.stdin.destroy();
}
