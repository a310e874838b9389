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
        Reader { tab }
    }

    pub(super) async fn sign_in(&mut self, name: &str, room: &str) {
        self.tab.eval("document.getElementById('token').select()").await;
        self.tab.insert(name).await;
        self.tab.eval("document.getElementById('first-room').select()").await;
        self.tab.insert(room).await;
        self.tab.press("Enter").await;
        self.tab.until("the chat", "!chat.hidden || document.getElementById('sign-in-error').textContent").await;
    }

    pub(super) async fn connected(&mut self) {
        self.tab.until("connected", "document.getElementById('link').className === 'up'").await;
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

/// The name of what has the focus (of a submit button, its form's) and how that is seen; null outside of the page.
const FOCUSED: &str = "(() => {
    const focused = document.activeElement;
    const name = focused.id || focused.value || focused.closest('form')?.id || null;
    return { name, outline: getComputedStyle(focused).outlineStyle };
})()";
