//! all-MiniLM-L6-v2: a text becomes tokens, BERT makes a vector of each, their mean with length 1 stands for the text.

use std::fs;
use std::path::Path;

use anyhow::{Context, anyhow};
use candle_core::{D, DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::bert::{BertModel, Config};
use tokenizers::{PaddingParams, Tokenizer, TruncationParams};

/// What the model was trained for; the rest of a longer text is left out.
const TOKENS_MAX: usize = 256;

pub(crate) type Vector = Vec<f32>;

pub(crate) struct Model {
    bert: BertModel,
    tokenizer: Tokenizer,
    dimensions: usize,
}

// === impl Model ===

impl Model {
    /// # Errors
    /// When a file is missing or broken.
    pub(crate) fn load(folder: &Path) -> anyhow::Result<Self> {
        let config: Config = serde_json::from_slice(&read(folder, "config.json")?)?;
        let mut tokenizer = Tokenizer::from_bytes(read(folder, "tokenizer.json")?)
            .map_err(|error| anyhow!(error))?;
        let truncation = TruncationParams { max_length: TOKENS_MAX, ..TruncationParams::default() };
        tokenizer.with_truncation(Some(truncation)).map_err(|error| anyhow!(error))?;
        tokenizer.with_padding(Some(PaddingParams::default()));
        let weights = read(folder, "model.safetensors")?;
        let weights = VarBuilder::from_buffered_safetensors(weights, DType::F32, &Device::Cpu)?;
        let bert = BertModel::load(weights, &config)?;
        Ok(Self { bert, tokenizer, dimensions: config.hidden_size })
    }

    pub(crate) fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// The vectors of some texts, each of length 1.
    ///
    /// # Errors
    /// When the tokenizer or the computation fails.
    pub(crate) fn embed(&self, texts: &[String]) -> anyhow::Result<Vec<Vector>> {
        let texts = texts.iter().map(String::as_str).collect::<Vec<_>>();
        let encoded = self.tokenizer.encode_batch(texts, true).map_err(|error| anyhow!(error))?;
        let rows = |take: fn(&tokenizers::Encoding) -> &[u32]| {
            let rows = encoded.iter().map(|one| Tensor::new(take(one), &Device::Cpu));
            Tensor::stack(&rows.collect::<Result<Vec<_>, _>>()?, 0)
        };
        let ids = rows(|one| one.get_ids())?;
        let mask = rows(|one| one.get_attention_mask())?;
        let tokens = self.bert.forward(&ids, &ids.zeros_like()?, Some(&mask))?;
        // Padding counts for nothing in the mean.
        let weight = mask.to_dtype(DType::F32)?.unsqueeze(D::Minus1)?;
        let mean = tokens.broadcast_mul(&weight)?.sum(1)?.broadcast_div(&weight.sum(1)?)?;
        let length = mean.sqr()?.sum_keepdim(D::Minus1)?.sqrt()?;
        Ok(mean.broadcast_div(&length)?.to_vec2()?)
    }
}

#[expect(clippy::disallowed_methods, reason = "the model loads on a thread that may block")]
fn read(folder: &Path, name: &str) -> anyhow::Result<Vec<u8>> {
    let path = folder.join(name);
    fs::read(&path).with_context(|| path.display().to_string())
}
