//! What the pages say, in English and in Chinese: one table, so that a missing sentence does not compile.
//!
//! Short, present tense, second person. No exclamation mark, no middle dot and no curly quotes: CJK fonts draw those full
//! width.

/// A language of the pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    /// English.
    #[default]
    English,
    /// Simplified Chinese.
    Chinese,
}

impl Language {
    /// Returns the language for the `lang` parameter, else for `Accept-Language`, else English.
    pub fn of(parameter: Option<&str>, header: Option<&str>) -> Self {
        match parameter {
            Some("zh" | "zh-CN") => return Self::Chinese,
            Some("en") => return Self::English,
            _ => {}
        }
        let weight = |range: &str| {
            let q = range
                .split(';')
                .nth(1)
                .and_then(|p| p.trim().strip_prefix("q="))
                .and_then(|q| q.parse::<f32>().ok());
            q.unwrap_or(1.0)
        };
        let best = |prefix: &str| {
            let ranges = header.unwrap_or("").split(',').map(str::trim);
            ranges
                .filter(|range| range.to_ascii_lowercase().starts_with(prefix))
                .map(weight)
                .fold(0.0, f32::max)
        };
        if best("zh") > best("en") {
            Self::Chinese
        } else {
            Self::English
        }
    }

    /// Returns the tag for `lang=`.
    pub fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Chinese => "zh-CN",
        }
    }

    /// Returns its sentences.
    pub fn words(self) -> &'static Words {
        match self {
            Self::English => &ENGLISH,
            Self::Chinese => &CHINESE,
        }
    }
}

macro_rules! words {
    ($($name:ident: $english:literal, $chinese:literal;)*) => {
        /// The sentences of one language.
        #[derive(Debug)]
        pub struct Words {
            $(#[doc = concat!("`", $english, "`")] pub $name: &'static str,)*
        }

        static ENGLISH: Words = Words { $($name: $english),* };
        static CHINESE: Words = Words { $($name: $chinese),* };
    };
}

words! {
    title: "Open imaging archive", "开放影像归档";
    skip: "Skip to content", "跳到正文";
    main: "Main", "主导航";
    studies: "Studies", "检查";
    send: "Send", "发送";
    read: "Read", "读取";
    headline: "Medical images you can find, open and cite.", "可查、可读、可引用的医学影像。";
    lead: "De-identified on the way in, checked, and readable by any DICOMweb viewer.",
          "入库时去标识并检查，任何 DICOMweb 阅片软件均可读取。";
    wedge: "The grey wedge above has eleven steps. If you cannot tell the ends apart, adjust your display.",
           "页首灰阶共十一级；若两端难以分辨，请调整显示器。";
    newest_picture: "The newest study that you may see.", "您可查看的最新检查。";
    holds: "What the archive holds", "归档概况";
    count_individuals: "individuals", "个体";
    count_studies: "studies", "检查";
    count_series: "series", "序列";
    count_images: "images", "图像";
    count_modalities: "modalities", "种模态";
    recent: "Newest studies", "最新检查";
    picture: "Picture", "图像";
    study: "Study", "检查";
    series: "Series", "序列";
    images: "Images", "图像";
    date: "Study date", "检查日期";
    untitled: "Study without description", "无描述的检查";
    open_picture: "Open the picture", "查看图像";
    by_modality: "Series by modality", "各模态序列数";
    ways_in: "Three ways in", "三种接入方式";
    send_dimse: "Send from a PACS", "从 PACS 发送";
    send_dimse_text: "Names are gone before anything is stored. Give your PACS this destination:",
                     "入库前已去除标识。请在 PACS 中设置以下目的地：";
    ae_title: "AE title", "AE 标题";
    host: "Host", "主机";
    port: "Port", "端口";
    send_web: "Send over the web", "通过网络发送";
    send_web_text: "Storing needs a token. The administrator's is in the file admin.token of the data directory.",
                   "存储需要令牌；管理员令牌见数据目录中的 admin.token 文件。";
    read_web: "Read", "读取";
    read_web_text: "With any DICOMweb viewer or script. Open collections need no account.",
                   "任何 DICOMweb 阅片软件或脚本；开放数据集无需账号。";
    empty_title: "Nothing here to see yet", "暂无可查看的内容";
    empty_text: "The archive holds no study that is released and open.", "归档中尚无已发布的开放检查。";
    empty_send: "Send the first study", "发送第一个检查";
    empty_release: "Release what was sent", "发布已接收的内容";
    empty_token: "Sent it already? It waits for release, or your token shows more.",
                 "已经发送？可能尚待发布，或需凭令牌查看。";
    no_signal: "NO SIGNAL", "无信号";
    about: "Isocenter, an open biomedical imaging archive.", "Isocenter，开放的生物医学影像归档。";
    api: "API", "API";
    health: "Health", "运行状况";
    missing_title: "There is nothing here for you to see", "此处没有您可查看的内容";
    missing_reasons: "Three usual reasons", "三种常见原因";
    missing_mistyped: "The number is mistyped. Studies look like", "编号有误。检查编号形如";
    missing_controlled: "It is in a controlled collection.", "属于受控数据集。";
    missing_unreleased: "It has not been released yet.", "尚未发布。";
    missing_same: "We answer the same in all three cases, so that nobody learns what exists.",
                  "三种情况的回答相同，以免泄露内容是否存在。";
    home: "Home", "首页";
    log_out: "Log out", "退出";
    link_title: "This link opens nothing", "此链接无效";
    link_text: "A log-in link is good once and for 15 minutes. The administrator's token is in the file admin.token of the data directory.",
               "登录链接仅可使用一次，15 分钟内有效。管理员令牌见数据目录中的 admin.token 文件。";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parameter_wins_over_the_header() {
        use Language::{Chinese, English};
        assert_eq!(Language::of(None, None), English);
        assert_eq!(Language::of(Some("zh"), Some("en")), Chinese);
        assert_eq!(Language::of(Some("en"), Some("zh-CN")), English);
        assert_eq!(Language::of(None, Some("zh-CN,zh;q=0.9,en;q=0.8")), Chinese);
        assert_eq!(Language::of(None, Some("en-GB,en;q=0.9,zh;q=0.8")), English);
        assert_eq!(Language::of(None, Some("de, fr")), English);
        assert_eq!(Language::of(Some("<script>"), None), English);
    }
}
