//! Tesseract's answer with each character, how sure it is, and what else it may be.
//!
//! With `hocr_char_boxes` and `lstm_choice_mode`, each character is a `span` with an `x_conf` in its
//! title, after which there are spans with an `x_confs` each for what it may be, in percent.

/// The characters in order, each with its alternatives.
pub(super) fn characters(answer: &str) -> Vec<Vec<(char, f32)>> {
    let mut places: Vec<Vec<(char, f32)>> = Vec::new();
    for line in answer.lines() {
        let Some((title, rest)) = line.split_once("'>").or_else(|| line.split_once("\">")) else {
            continue;
        };
        let Some(character) = rest
            .split_once("</span>")
            .and_then(|(text, _)| single(text))
        else {
            continue;
        };
        if let Some(confidence) = share(title, "x_conf ") {
            places.push(vec![(character, confidence)]);
        } else if let (Some(confidence), Some(place)) =
            (share(title, "x_confs "), places.last_mut())
            && !place.iter().any(|(known, _)| *known == character)
        {
            // What it gives as the answer stays the likeliest.
            place.push((character, confidence.min(place[0].1)));
        }
    }
    places
}

fn share(title: &str, name: &str) -> Option<f32> {
    let (_, value) = title.rsplit_once(name)?;
    let value: f32 = value.parse().ok()?;
    value.is_finite().then_some((value / 100.0).clamp(0.0, 1.0))
}

fn single(text: &str) -> Option<char> {
    match text {
        "&amp;" => Some('&'),
        "&lt;" => Some('<'),
        "&gt;" => Some('>'),
        "&quot;" => Some('"'),
        "&#39;" => Some('\''),
        text => {
            let mut characters = text.chars();
            characters.next().filter(|_| characters.next().is_none())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_have_their_alternatives() {
        let answer = "
  <div class='ocr_page' id='page_1' title='image \"unknown\"; bbox 0 0 276 60; scan_res 300 300'>
     <span class='ocr_line' id='line_1_1' title=\"bbox 0 0 261 60; baseline -0.027 -9\">
      <span class='ocrx_word' id='word_1_1' title='bbox 0 0 261 60; x_wconf 0'>
       <span class='ocrx_cinfo' title='x_bboxes 0 11 44 60; x_conf 97.5'>P</span>
        <span class='ocrx_cinfo' id='lstm_choices_1_1_1'>
         <span class='ocrx_cinfo' id='choice_1_1_1' title='x_confs 89.7'>P</span>
         <span class='ocrx_cinfo' id='choice_1_1_2' title='x_confs 25'>R</span>
        </span>
       <span class='ocrx_cinfo' title='x_bboxes 235 4 261 44; x_conf 50'>&amp;</span>
        <span class='ocrx_cinfo' id='choice_1_1_3' title='x_confs 75'>8</span>
      </span>
     </span>
  </div>";
        assert_eq!(
            characters(answer),
            [
                vec![('P', 0.975), ('R', 0.25)],
                vec![('&', 0.5), ('8', 0.5)]
            ]
        );
    }

    #[test]
    fn what_makes_no_sense_is_left_out() {
        for answer in [
            "",
            "<span title='x_bboxes 0 0 1 1; x_conf'>P</span>",
            "<span title='x_bboxes 0 0 1 1; x_conf nan'>P</span>",
            "<span title='x_bboxes 0 0 1 1; x_conf 9'>PQ</span>",
            "<span title='x_confs 9'>P</span>",
        ] {
            assert!(characters(answer).is_empty(), "{answer}");
        }
    }
}
