//! Somebody who reads and writes on the page: only by what it shows, and by keys.

use serde_json::{Value, json};

use super::browser::{Browser, Tab};

pub(super) struct Reader {
    pub(super) tab: Tab,
}

impl Reader {
    pub(super) async fn open(browser: &Browser, url: &str) -> Reader {
        let mut tab = browser.open(url).await;
        tab.until("the way in", "!welcome.hidden").await;
        tab.eval(REMEMBER).await;
        Reader { tab }
    }

    /// Waits until the page has shown that, be it for a moment: a state of the connection, or a notice of the limit.
    pub(super) async fn has_seen(&mut self, what: &str) {
        self.tab.until(what, &format!("seen.some((text) => text.includes({}))", json!(what))).await;
    }

    pub(super) async fn sign_in(&mut self, name: &str, room: &str) {
        self.tab.eval("document.getElementById('token').select()").await;
        self.tab.insert(name).await;
        self.tab.eval("document.getElementById('first-room').select()").await;
        self.tab.insert(room).await;
        self.tab.press("Enter").await;
        self.tab.until("the chat", "!chat.hidden || document.getElementById('sign-in-error').textContent").await;
    }

    pub(super) async fn sign_out(&mut self) {
        self.tab.focus("sign-out").await;
        self.tab.press("Enter").await;
    }

    pub(super) async fn connected(&mut self) {
        self.tab.until("connected", "link.className === 'up'").await;
    }

    /// From where the page puts the cursor.
    pub(super) async fn sign_in_by_keyboard(&mut self, name: &str, room: &str) {
        self.tab.insert(name).await;
        // Tab selects what stands in the field.
        self.tab.press("Tab").await;
        self.tab.insert(room).await;
        self.tab.press("Tab").await;
        self.tab.press("Enter").await;
        self.connected().await;
        assert_eq!(self.tab.eval("document.activeElement.id").await, "content");
    }

    /// Another room, by its name.
    pub(super) async fn enter(&mut self, room: &str) {
        self.tab.focus("room").await;
        self.tab.insert(room).await;
        self.tab.press("Enter").await;
        let shown = format!("document.getElementById('room-name').textContent === {}", json!(room));
        self.tab.until("the other room", &shown).await;
    }

    pub(super) async fn say(&mut self, text: &str) {
        self.tab.focus("content").await;
        self.tab.insert(text).await;
        self.tab.press("Enter").await;
    }

    /// Waits until the room in front shows exactly these texts, in this order.
    pub(super) async fn sees(&mut self, texts: &[impl AsRef<str>]) {
        let texts: Vec<&str> = texts.iter().map(AsRef::as_ref).collect();
        let shown = "[...document.querySelectorAll('#entries :is(.content, .gap)')].map(e => e.textContent)";
        let same = format!("JSON.stringify({shown}) === JSON.stringify({})", json!(texts));
        self.tab.until(&format!("{texts:?}"), &same).await;
    }

    /// Whether everything fits into the width of a small phone, without scrolling sideways.
    pub(super) async fn fits_a_phone(&mut self) -> bool {
        let phone = json!({ "width": 360, "height": 640, "deviceScaleFactor": 1, "mobile": true });
        self.tab.call("Emulation.setDeviceMetricsOverride", phone).await;
        let fits = self.tab.eval("document.documentElement.scrollWidth === 360 && log.clientHeight > 150").await;
        self.tab.call("Emulation.clearDeviceMetricsOverride", json!({})).await;
        fits == true
    }

    /// The page's background, and the lowest contrast of its texts, when its reader wants it light or dark.
    pub(super) async fn colours(&mut self, scheme: &str) -> (Value, f64) {
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.tab.call("Emulation.setEmulatedMedia", features).await;
        let background = self.tab.eval("getComputedStyle(document.body).backgroundColor").await;
        (background, self.tab.eval(LOWEST_CONTRAST).await.as_f64().unwrap())
    }

    /// What Tab reaches from `first` on, until it comes round.
    pub(super) async fn focus_order(&mut self, first: &str) -> Vec<String> {
        self.tab.focus(first).await;
        let mut order = vec![first.to_owned()];
        while order.len() < 2 || order.first() != order.last() {
            assert!(order.len() < 20, "Tab does not come round: {order:?}");
            self.tab.press("Tab").await;
            let focused = self.tab.eval(FOCUSED).await;
            if focused["name"] != Value::Null {
                assert_ne!(focused["outline"], "none", "no focus to be seen: {focused}");
                order.push(focused["name"].as_str().unwrap().to_owned());
            }
        }
        order
    }
}

/// What is there for a moment only, which a look now and then might miss.
const REMEMBER: &str = "window.seen = [];
    new MutationObserver(() => seen.push(link.className)).observe(link, { attributeFilter: ['class'] });
    new MutationObserver(() => seen.push(limited.textContent)).observe(limited, { childList: true });";

/// WCAG 2.2, section 1.4.3, over the pairs of colours that text is shown in.
const LOWEST_CONTRAST: &str = "(() => {
    const style = getComputedStyle(document.documentElement);
    const luminance = (name) => {
        const hex = style.getPropertyValue(`--${name}`).trim().slice(1);
        const full = hex.length === 3 ? [...hex].map((digit) => digit + digit).join('') : hex;
        const [red, green, blue] = full.match(/../g).map((part) => parseInt(part, 16) / 255)
            .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    };
    const pairs = ['text page', 'text surface', 'text mine', 'soft page', 'soft surface', 'soft mine', 'accent page',
        'accent surface', 'accent mine', 'on-accent accent', 'warning page', 'warning surface', 'warning warning-surface'];
    return Math.min(...pairs.map((pair) => {
        const [dark, light] = pair.split(' ').map(luminance).sort((a, b) => a - b);
        return (light + 0.05) / (dark + 0.05);
    }));
})()";

/// The name of what has the focus (of a submit button, its form's) and how that is seen; null outside of the page.
const FOCUSED: &str = "(() => {
    const focused = document.activeElement;
    const name = focused.id || focused.value || focused.closest('form')?.id || null;
    return { name, outline: getComputedStyle(focused).outlineStyle };
})()";
