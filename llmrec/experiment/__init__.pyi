from .contrasts import Contrast as Contrast
from .contrasts import Contrasts as Contrasts
from .experiment import Experiment as Experiment
from .parts import Arm as Arm
from .parts import Run as Run
