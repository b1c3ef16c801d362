"""Every score of a map against its mask, from arrays alone."""

from ..io import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "boundary_distance": ["DISTANCES", "WHERE_BOTH", "DistanceSettings"],
        "calibration": ["reliability"],
        "lesions": ["LESION_RULES", "SIZE_BOUNDS", "LesionSettings", "free_response"],
        "reference": ["naive_border_scores", "naive_scores"],  # needs scipy, which scoring does not
        "scores": ["CURVES", "ENDOCV_TERMS", "HALF_LEVEL", "PairScores", "hard_scores", "pair_scores", "pooled_scores"],
        "temporal": ["case_detection", "detection_over_cases"],
        "thresholds": ["scale_between"],
    },
)
